"""`python -m flows.server.deploy`: work pools, automations and the deployments of `prefect.yaml`.

It configures the server of `PREFECT_API_URL`; `valle up` does the same for the local server. Safe to repeat, also by
two processes at once.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists

from flows.server import orphaned_runs
from flows.server.forms import find_choices, update_forms
from flows.server.local_server import HEARTBEAT_SECONDS, POOLS, checkout
from valle.data_root import open_data_root
from warehouse.errors import ConfigurationError, DependencyError

DEAD_RUNS = "valle: crash a run without heartbeats"
LOST_RUNS = "valle: crash a run that its worker did not start"
SECONDS_TO_ANSWER = 300.0
"""Time limit of a request while the server is set up: on a busy machine the default of Prefect, 60 s, is too short."""
_MISSED_HEARTBEATS = 3
_LONGEST_START = timedelta(minutes=5)


def create_work_pools(client: SyncPrefectClient, limits: Mapping[str, int | None]) -> None:
    """Create the work pools, or set the limits of those that exist; None is no limit."""
    for name, limit in limits.items():
        # Reading first would leave a moment in which another process creates the pool.
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process", concurrency_limit=limit))
        except ObjectAlreadyExists:
            client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))


def automations(heartbeat_seconds: int = HEARTBEAT_SECONDS) -> tuple[AutomationCore, ...]:
    """Return the automations that crash runs without a process, so that their slots in the pool become free."""
    # Events are named after the names of states, not after their types.
    ended = _events("Completed", "Failed", "Cancelled", "Crashed", "TimedOut")
    waiting = _events("Scheduled", "Late", "AwaitingConcurrencySlot", "AwaitingRetry", "Paused", "Suspended")
    return (
        _crash(
            DEAD_RUNS,
            # The server sends Running; a run that is killed at once never sends a heartbeat.
            after=_events("Running", "heartbeat") | {orphaned_runs.RUNNING},
            unless=_events("heartbeat") | waiting | ended,
            within=timedelta(seconds=_MISSED_HEARTBEATS * heartbeat_seconds),
            message="The process of the run is gone. Run it again: committed work is skipped.",
        ),
        _crash(
            LOST_RUNS,
            after=_events("Pending", "Submitting") | {orphaned_runs.PENDING},
            unless=_events("Running", "Retrying") | waiting | ended,
            within=_LONGEST_START,
            message="The worker of the run is gone. Run it again.",
        ),
    )


def _events(*states: str) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _crash(name: str, *, after: set[str], unless: set[str], within: timedelta, message: str) -> AutomationCore:
    return AutomationCore(
        name=name,
        trigger=EventTrigger(
            after=after,
            expect=unless,
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        # Not forced: a run that has ended meanwhile keeps its state.
        actions=[ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)],
    )


def create_automations(client: SyncPrefectClient) -> None:
    """Create the automations that are missing or differ.

    An automation that is up to date stays: a new one would not know the runs that the old one watches.
    """
    for automation in automations():
        existing = client.read_automations_by_name(automation.name)
        if len(existing) == 1 and _content(existing[0]) == _content(automation):
            continue
        for old in existing:
            client.delete_automation(old.id)
        client.create_automation(automation)


def _content(automation: AutomationCore) -> dict[str, object]:
    trigger = automation.trigger.model_dump(mode="json", exclude={"id"})
    sets = {"after", "expect", "for_each"}
    # Sets have no order in JSON, and the id of a trigger differs in each copy.
    return {
        "trigger": {name: sorted(value) if name in sets else value for name, value in trigger.items()},
        "actions": [action.model_dump(mode="json") for action in automation.actions],
        "enabled": automation.enabled,
    }


def deployments_file(folder: Path) -> Path:
    """Return `prefect.yaml` of a checkout, or its copy in the package of an installed wheel."""
    for path in (folder / "prefect.yaml", folder / "flows" / "prefect.yaml"):
        if path.exists():
            return path
    raise DependencyError(f"There is no prefect.yaml in {folder}; install valle from its wheel or from a checkout.")


def declared_deployments(folder: Path) -> tuple[str, ...]:
    """Return the names of the deployments in `prefect.yaml`."""
    path = deployments_file(folder)
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]
    return tuple(deployment["name"] for deployment in declared)


def deploy_flows(environment: Mapping[str, str], log: Path) -> tuple[str, ...]:
    """Create or update every deployment of `prefect.yaml`, as `prefect deploy --all` does; return their names.

    `environment` names the server; the output of the command goes to the file `log`. Raises ConfigurationError with
    its last line when it fails.
    """
    file, names = deployments_file(checkout()), declared_deployments(checkout())
    # Prefect has no public function for a whole prefect.yaml. The file inserts $PWD as the folder of all runs.
    finished = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
        cwd=checkout(),
        env={**environment, "PWD": str(checkout()), "PREFECT_API_REQUEST_TIMEOUT": str(SECONDS_TO_ANSWER)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(finished.stdout + finished.stderr, encoding="utf-8")
    if finished.returncode != 0:
        last = (finished.stdout + finished.stderr).strip().splitlines()[-1:]
        raise ConfigurationError(f"Deploying prefect.yaml failed: {' '.join(last)}; the output is in {log}.")
    return names


def main() -> None:
    """Configure the server of `PREFECT_API_URL`; each worker limits its own runs."""
    with get_client(sync_client=True) as client:
        create_work_pools(client, dict.fromkeys(POOLS))
        create_automations(client)
        names = deploy_flows(os.environ, Path(tempfile.gettempdir()) / "valle-deploy.log")
        update_forms(client, find_choices(open_data_root()))
    sys.stdout.write(f"deployed {', '.join(names)}\n")


if __name__ == "__main__":
    main()
