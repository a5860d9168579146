"""What a server has to know: work pools, automations for runs whose process is gone, and all deployments.

`python -m flows.server.deploy` tells it to the server of `PREFECT_API_URL`; `valle up` does so by itself.
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
from prefect.exceptions import ObjectNotFound

from flows.server import orphaned_runs as watch
from flows.server.local_server import HEARTBEAT_SECONDS, POOLS, checkout
from warehouse.errors import ConfigurationError, DependencyError

DEAD_RUNS = "valle: a run that has stopped saying that it lives is crashed"
LOST_RUNS = "valle: a run whose worker never started it is crashed"
_MISSED_HEARTBEATS = 3
_LONGEST_START = timedelta(minutes=5)


def register_pools(client: SyncPrefectClient, limits: Mapping[str, int | None]) -> None:
    """Create the work pools, or set the limits of those that exist; None is no limit."""
    for name, limit in limits.items():
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=name, type="process", concurrency_limit=limit))
        else:
            client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))


def automations(heartbeat_seconds: int = HEARTBEAT_SECONDS) -> tuple[AutomationCore, ...]:
    """What sets runs to Crashed whose process is gone, so that none stays Running and its place in the pool is free."""
    # Events are called by the names of states, not by their types.
    ended = _events("Completed", "Failed", "Cancelled", "Crashed", "TimedOut")
    waiting = _events("Scheduled", "Late", "AwaitingConcurrencySlot", "AwaitingRetry", "Paused", "Suspended")
    return (
        _crash(
            DEAD_RUNS,
            # The server itself sends the first; a run that is killed at once never sends the second.
            after=_events("Running", "heartbeat") | {watch.RUNNING},
            unless=_events("heartbeat") | waiting | ended,
            within=timedelta(seconds=_MISSED_HEARTBEATS * heartbeat_seconds),
            message="Its process is gone. Run it again: it goes on where it stood.",
        ),
        _crash(
            LOST_RUNS,
            after=_events("Pending", "Submitting") | {watch.PENDING},
            unless=_events("Running", "Retrying") | waiting | ended,
            within=_LONGEST_START,
            message="The worker that had taken it is gone. Run it again.",
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
        actions=[ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message, force=False)],
    )


def register_automations(client: SyncPrefectClient) -> None:
    """Create the automations that do not exist as they should.

    One that exists is left alone: a new one would know nothing of the runs that the old one watches.
    """
    for automation in automations():
        known = client.read_automations_by_name(automation.name)
        if len(known) == 1 and _content(known[0]) == _content(automation):
            continue
        for old in known:
            client.delete_automation(old.id)
        client.create_automation(automation)


def _content(automation: AutomationCore) -> dict[str, object]:
    trigger = automation.trigger.model_dump(mode="json", exclude={"id"})
    sets = {"after", "expect", "for_each"}
    return {
        "trigger": {name: sorted(value) if name in sets else value for name, value in trigger.items()},
        "actions": [action.model_dump(mode="json") for action in automation.actions],
        "enabled": automation.enabled,
    }


def declared_deployments(folder: Path) -> tuple[str, ...]:
    """The names in `prefect.yaml`."""
    path = folder / "prefect.yaml"
    if not path.exists():
        raise DependencyError(f"There is no {path}; deployments are registered from a checkout of the project.")
    return tuple(one["name"] for one in yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"])


def register_deployments(environment: Mapping[str, str], log: Path) -> tuple[str, ...]:
    """Register everything that `prefect.yaml` declares, as `prefect deploy --all` does; the names.

    `environment` names the server, and what the command says goes to the file `log`.
    """
    names = declared_deployments(checkout())
    ran = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=checkout(),
        env={**environment, "PWD": str(checkout())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(ran.stdout + ran.stderr, encoding="utf-8")
    if ran.returncode != 0:
        last = (ran.stdout + ran.stderr).strip().splitlines()[-1:]
        raise ConfigurationError(f"Registering prefect.yaml failed: {' '.join(last)}; all of it is in {log}.")
    return names


def main() -> None:
    """Register everything with the configured server; the workers say how many runs they take."""
    with get_client(sync_client=True) as client:
        register_pools(client, dict.fromkeys(POOLS))
        register_automations(client)
    names = register_deployments(os.environ, Path(tempfile.gettempdir()) / "valle-deploy.log")
    sys.stdout.write(f"registered {', '.join(names)}\n")


if __name__ == "__main__":
    main()
