"""Which task runner a setting asks for."""

import sys

import pytest

from flows.parameters import Workers
from flows.runner import task_runner
from warehouse.errors import DependencyError


def test_a_setting_names_the_dask_cluster_that_runs_or_the_width_of_one_that_is_started() -> None:
    library = pytest.importorskip("prefect_dask")
    running = task_runner(Workers(runner="dask", address="tcp://first:8786"))
    local = task_runner(Workers(runner="dask", width=3))
    assert isinstance(running, library.DaskTaskRunner)
    assert isinstance(local, library.DaskTaskRunner)
    assert running.address == "tcp://first:8786"
    assert local.cluster_kwargs["n_workers"] == 3


def test_a_cluster_whose_library_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(DependencyError, match="pip install"):
        task_runner(Workers(runner="dask"))
