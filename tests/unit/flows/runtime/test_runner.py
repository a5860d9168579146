"""The task runner of each setting."""

import sys

import pytest

from flows.parameters import Workers
from flows.runtime.runner import task_runner
from warehouse.errors import DependencyError


def test_a_setting_names_the_dask_cluster_that_runs_or_the_width_of_one_that_is_started() -> None:
    library = pytest.importorskip("prefect_dask")
    running = task_runner(Workers(runner="dask", address="tcp://first:8786"))
    local = task_runner(Workers(runner="dask", width=3))
    assert isinstance(running, library.DaskTaskRunner)
    assert isinstance(local, library.DaskTaskRunner)
    assert running.address == "tcp://first:8786"
    assert local.cluster_kwargs["n_workers"] == 3


def test_a_setting_names_the_ray_cluster_that_runs_or_the_width_of_one_that_is_started() -> None:
    library = pytest.importorskip("prefect_ray")
    running = task_runner(Workers(runner="ray", address="first:6379"))
    local = task_runner(Workers(runner="ray", width=3))
    assert isinstance(running, library.RayTaskRunner)
    assert isinstance(local, library.RayTaskRunner)
    assert running.address == "first:6379"
    assert (local.address, local.init_kwargs["num_cpus"]) == ("local", 3)


@pytest.mark.parametrize(("runner", "library"), [("dask", "prefect_dask"), ("ray", "prefect_ray")])
def test_a_cluster_whose_library_is_missing_is_one_sentence(
    runner: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DependencyError, match="pip install"):
        task_runner(Workers.model_validate({"runner": runner}))
