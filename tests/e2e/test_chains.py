"""Triggers on a real server: a new training set starts a training, a training starts one evaluation."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from flows.server.local_server import LocalServer
from tests.faults.cancel import complete, make_training_set
from tests.local_server import throwaway_server, wait_for_run, wait_until

Desk = tuple[LocalServer, SyncPrefectClient]
TRIGGER = "a new training set is trained on"
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Start a local server whose data root has a training set `small`."""
    root = tmp_path_factory.mktemp("chains")
    with throwaway_server(root / "data") as (server, client):
        make_training_set(client, root / "clips", 18)
        yield server, client


def runs_of(client: SyncPrefectClient, flow: str) -> list[FlowRun]:
    deployment = client.read_deployment_by_name(f"{flow}/{flow}")
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]))
    )


def end(client: SyncPrefectClient, run: FlowRun) -> None:
    """Cancel a run, unless it was faster; either way nothing was wrong with it."""
    client.set_flow_run_state(run.id, Cancelling())
    state = wait_for_run(client, run.id, 120).state
    assert state is not None
    assert state.is_cancelled() or state.is_completed(), state


def test_a_training_set_that_is_selected_is_trained_on_once_where_the_trigger_is_on(desk: Desk) -> None:
    _, client = desk
    assert runs_of(client, "train") == [], "the trigger is off by default"
    (automation,) = client.read_automations_by_name(TRIGGER)
    client.resume_automation(automation.id)
    selection: dict[str, Any] = {"name": "again", "split_policy": {"dev": 0.1, "test": 0.1}}
    complete(client, "select/select", {"selection": selection})
    wait_until(lambda: runs_of(client, "train"), 300)
    client.pause_automation(automation.id)
    time.sleep(20)  # as long as a second one would take to come
    (run,) = runs_of(client, "train")
    told = run.parameters["parameters"]
    assert (told["training_set"], told["run"]) == ("again", "again")
    end(client, run)


def test_a_finished_training_is_evaluated_once_however_often_it_is_run(desk: Desk) -> None:
    server, client = desk
    options = {"model": "nano", "max_steps": 3, "batch_tokens": 512, "warmup_steps": 1}
    for _ in range(2):  # the second has nothing to do
        complete(client, "train/train", {"training_set": "small", "run": "once", "options": options})
    (run,) = runs_of(client, "evaluate")
    told = run.parameters["parameters"]
    assert (told["run"], Path(told["data"])) == ("once", server.data)
    assert told["workers"]["devices"] == ["auto"], "what the deployment declares still holds"
    end(client, run)
