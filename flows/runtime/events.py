"""Events that start the next deployment, and runs that are started once.

Only runs of deployments start others; a flow run from a shell starts nothing else. The triggers are in `prefect.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment

from flows.runtime.where import run_logger

if TYPE_CHECKING:
    from valle.data_root import DataRoot


def announce(step: str, subject: str, data_root: DataRoot, rows: int) -> None:
    """Emit the event `valle.STEP.finished` for `subject`, a corpus or a training set.

    Its resource has `valle.new`: `yes` if `rows` were new, else `no`, for triggers that need new rows. Its payload has
    the values that a trigger may pass on.
    """
    if deployment.id is None:
        return
    payload = {
        "subject": subject,
        "data": str(data_root.root),
        "rows": rows,
        "day": datetime.now(UTC).date().isoformat(),
    }
    emit_event(
        event=f"valle.{step}.finished",
        resource={"prefect.resource.id": f"valle.{step}.{subject}", "valle.new": "yes" if rows else "no"},
        payload=payload,
    )


def start_once(name: str, changes: Mapping[str, Any], *, key: str) -> None:
    """Start the deployment FLOW/NAME, unless a run with the idempotency key `key` was started before.

    `changes` override the parameters that the deployment declares; the others, such as its device, remain.
    """
    if deployment.id is None:
        return
    logger = run_logger()
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(name)
        except ObjectNotFound:
            logger.warning("There is no deployment %s to start next; `valle up` creates all of them", name)
            return
        declared = found.parameters.get("parameters") or {}
        run = client.create_flow_run_from_deployment(
            found.id, parameters={"parameters": {**declared, **changes}}, idempotency_key=key
        )
    logger.info("Next: %s as %s", name, run.name)
