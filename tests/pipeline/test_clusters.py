"""The same flow on a Dask and on a Ray cluster that run already, by one setting."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.parameters import CorpusChoice, PrepareParameters, Stages, Workers
from flows.prepare import prepare
from manifests.corpus import CorpusOptions
from tests.local_server import free_port
from tests.pipeline.prepared import folder_corpus, part_names, rows_of, run_pipeline, tables_of, write_folder
from valle.data_root import DataRoot
from valle.stages.quality import Quality
from valle.stages.transcribe import Transcribe
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck

pytestmark = pytest.mark.machines

_CLIPS, _SHARD = 6, 0.017


@contextmanager
def dask_cluster() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    pytest.importorskip("prefect_dask")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@contextmanager
def ray_cluster() -> Iterator[str]:
    """The cluster of `ray start`, which this process joins like any other."""
    pytest.importorskip("ray")
    pytest.importorskip("prefect_ray")
    command, port = str(Path(sys.executable).with_name("ray")), free_port()
    head = ["--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false", "--object-store-memory=100000000"]
    subprocess.run([command, "start", *head], check=True, timeout=300)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run([command, "stop", "--force"], check=True, timeout=300)


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_corpus_prepared_on_a_cluster_is_the_one_that_a_plain_loop_makes(
    runner: str, tmp_path: Path, prefect_server: None
) -> None:
    clips = write_folder(tmp_path / "clips", _CLIPS, per_voice=2)
    expected = Lake(tmp_path / "expected")
    options = CorpusOptions(language="en", licence="Apache-2.0", speaker_from_folder=True, shard_megabytes=_SHARD)
    asked = PrepareParameters(
        data=tmp_path / "data",
        corpus=CorpusChoice(kind="folder", root=clips, name="clips", options=options),
        stages=Stages(transcribe=Transcribe(check_given=False), quality=Quality(scorers=())),
    )
    with {"dask": dask_cluster, "ray": ray_cluster}[runner]() as address:
        workers = Workers.model_validate({"runner": runner, "address": address, "width": 2})
        reports = prepare(asked.model_copy(update={"workers": workers}))
    run_pipeline(folder_corpus(clips, shard_megabytes=_SHARD), expected)
    assert len(reports) >= 3 * len(asked.stages.in_order())
    lake = DataRoot(tmp_path / "data").lake
    assert tables_of(lake) == tables_of(expected)
    assert part_names(lake, "codes") == part_names(expected, "codes")
    assert fsck(lake).is_sound
    processes = {str(row["host"]).rpartition(":")[2] for row in rows_of(lake, "runs")}
    assert str(os.getpid()) not in processes, "the shards ran in the workers of the cluster"
    assert len(processes) >= 2
