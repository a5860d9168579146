"""The pipeline without Prefect, for the tests: the work of the flow `prepare`, in a plain loop.

The fault injection kills it as a program: `python -m tests.pipeline.prepared CORPUS DATA [RUN[,RUN] [MEGABYTES]]`.
"""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from manifests.corpora.registry import open_corpus
from manifests.corpus import Corpus, CorpusOptions
from manifests.demo.clips import demo_clips
from valle.backends.registry import Backends
from valle.data_root import open_data_root
from valle.stages.base import Stage
from valle.stages.ingest import ingest_shard, plan_ingest
from valle.stages.phonemize import Phonemize
from valle.stages.quantize import Quantize
from valle.stages.runner import Job, plan, run_shards, set_active_configurations
from valle.stages.segment import Segment
from valle.stages.transcribe import Transcribe
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.shard_runs import ShardReport

# The texts are given and trusted, so that no ASR has to listen.
QUICK: tuple[Stage, ...] = (Segment(), Transcribe(check_given=False), Phonemize(), Quantize())

_IMPORTED_LATE = (
    "lhotse", "librosa.feature", "matplotlib.pyplot", "num2words", "pandas", "phonemizer", "silero_vad", "torch",
    "torchaudio", "valle.codec.mini.codec",
)  # fmt: skip


def write_folder(directory: Path, count: int, *, split: str | None = None, per_voice: int | None = None) -> Path:
    """Copy `count` demo clips with their texts into one folder per voice."""
    taken: dict[str, int] = {}
    for clip in demo_clips():
        voice = taken.get(clip.speaker, 0)
        if sum(taken.values()) >= count or (split and clip.split != split) or (per_voice and voice >= per_voice):
            continue
        taken[clip.speaker] = voice + 1
        folder = directory / clip.speaker
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / f"{clip.id}.ogg").exists():
            continue  # Writing it again would make it a changed file.
        (folder / f"{clip.id}.ogg").write_bytes(clip.path.read_bytes())
        (folder / f"{clip.id}.txt").write_text(clip.text, encoding="utf-8")
    return directory


def folder_corpus(root: Path, *, name: str = "clips", shard_megabytes: float = 0.08) -> Corpus:
    """The folder as a corpus whose sub-folders are speakers, in several shards."""
    options = CorpusOptions(
        language="en", licence="Apache-2.0", speaker_from_folder=True, shard_megabytes=shard_megabytes
    )
    return open_corpus("folder", root, name=name, options=options)


def run_pipeline(
    corpus: Corpus,
    lake: Lake,
    stages: Sequence[Stage] = QUICK,
    backends: Backends | None = None,
    *,
    run: str = "test",
) -> list[ShardReport]:
    """Ingest what is new and run what is missing; the reports of everything that was done."""
    backends = backends or Backends()
    reports = [ingest_shard(corpus, shard=shard, lake=lake, run_id=run) for shard in plan_ingest(corpus, lake).shards]
    for stage in stages:
        set_active_configurations([Job(stage, corpus.name)], lake)
        with connect(lake.snapshot()) as connection:
            shards = plan(stage, corpus.name, connection).shards_for(run)
        reports += run_shards(stage, shards, corpus=corpus.name, lake=lake, backends=backends, run_id=run)
    return reports


def rows_of(lake: Lake, table: str) -> list[dict[str, object]]:
    """Every row of a table in the order of its key, without the times at which it was made."""
    with connect(lake.snapshot()) as connection:
        rows = connection.execute(f"SELECT * FROM {table} ORDER BY ALL").to_arrow_table().to_pylist()
    times = ("found_at", "ingested_at")
    return [{name: value for name, value in row.items() if name not in times} for row in rows]


def tables_of(lake: Lake) -> dict[str, list[dict[str, object]]]:
    """Return the parts of the lake that do not depend on interruptions."""
    return {name: rows_of(lake, name) for name in ("sources", "recordings", "segments", "transcripts", "phonemes")}


def part_names(lake: Lake, table: str) -> list[str]:
    """The parts of a table; their names are hashes of their bytes."""
    return sorted(path.name for path in lake.snapshot().data_files.get(table, ()))


def by_stage(reports: Sequence[ShardReport]) -> dict[str, int]:
    """Rows that went in, by stage."""
    total: dict[str, int] = {}
    for report in reports:
        total[report.stage] = total.get(report.stage, 0) + report.rows_in
    return total


def import_all() -> None:
    """Import what the stages and reports import on first use: a fork of this process has it, too."""
    for name in _IMPORTED_LATE:
        import_module(name)


def main(arguments: Sequence[str]) -> None:
    """Prepare the folder `arguments[0]` in the data root `arguments[1]`, as a run of the name `arguments[2]`,
    in shards of `arguments[3]` megabytes. Each of several names, with commas, is a process at the same time.
    """
    runs, megabytes = (*arguments[2:], *("test", "0.08")[len(arguments) - 2 :])
    work = [(*arguments[:2], run, float(megabytes)) for run in runs.split(",")]
    if len(work) == 1:
        done = [_prepare(*work[0])]
    else:  # forks, because each interpreter would import torch again
        import_all()
        with get_context("fork").Pool(len(work)) as pool:
            done = pool.starmap(_prepare, work, chunksize=1)
    sys.stdout.writelines(f"{json.dumps(stages)}\n" for stages in done)


def _prepare(folder: str, data: str, run: str, megabytes: float) -> dict[str, int]:
    corpus = folder_corpus(Path(folder), shard_megabytes=megabytes)
    return by_stage(run_pipeline(corpus, open_data_root(Path(data)).lake, run=run))


if __name__ == "__main__":
    main(sys.argv[1:])
