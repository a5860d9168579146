"""What follows what: events that start the next deployment, and runs that are started once.

Only runs of deployments start others; a flow that somebody runs from a shell does what it was asked and no more.
The triggers that wait for the events are in `prefect.yaml`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment

from valle.data_root import DataRoot


def announce(step: str, subject: str, root: DataRoot, rows: int) -> None:
    """Tell the server that `step` is through with `subject` (a corpus or a set): the event `valle.STEP.finished`.

    Its resource says whether `rows` were new (`valle.new` is yes or no), so that a trigger may ask for that; its
    payload has what a trigger may hand on.
    """
    if deployment.id is None:
        return
    emit_event(
        event=f"valle.{step}.finished",
        resource={"prefect.resource.id": f"valle.{step}.{subject}", "valle.new": "yes" if rows else "no"},
        payload={"subject": subject, "data": str(root.root), "rows": rows, "day": datetime.now(UTC).date().isoformat()},
    )


def start_once(name: str, changes: Mapping[str, Any], *, key: str) -> None:
    """Start the deployment FLOW/NAME, unless a run with that idempotency key was started before.

    `changes` go over the parameters that the deployment declares, so that its device and the like still hold.
    """
    if deployment.id is None:
        return
    logger = get_run_logger()
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(name)
        except ObjectNotFound:
            logger.warning("There is no deployment %s to go on with; `valle up` registers all of them", name)
            return
        declared = found.parameters.get("parameters") or {}
        run = client.create_flow_run_from_deployment(
            found.id, parameters={"parameters": {**declared, **changes}}, idempotency_key=key
        )
    logger.info("Next: %s as %s", name, run.name)
