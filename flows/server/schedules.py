"""Nightly runs of corpora: ingestion of new files, and quantization of what a trigger missed.

They are kept in a file of the data root, which `valle up` and `valle schedule` apply to the server.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from flows.parameters import CorpusChoice
from flows.server.forms import NO_CHOICES, form_schema
from flows.server.local_server import home_of, load_local_server, supervisor_pid
from flows.server.password import read_password
from valle.reporting import write_text
from warehouse.errors import ConfigurationError

_FILE = "schedules.json"
# Deployments with this beginning belong to the file; those of prefect.yaml and of the UI stay.
_PREFIX = "nightly-"
_MOST_DEPLOYMENTS = 200


class CorpusSchedule(BaseModel):
    """A corpus that is processed every night; times are cron expressions in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    corpus: CorpusChoice
    """The corpus."""
    ingest_at: str = "0 2 * * *"
    """Start of ingestion, as a cron expression in UTC; the stages follow by events."""
    quantize_at: str = "0 5 * * *"
    """Start of quantization, as a cron expression in UTC: codes that no event has started are caught up."""

    @field_validator("ingest_at", "quantize_at")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        CronSchedule(cron=value, timezone="UTC")
        return value

    @property
    def runs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return deployment -> cron expression and the parameters that the deployment's own are replaced by."""
        corpus = self.corpus.model_dump(mode="json")
        return {
            "ingest/ingest": (self.ingest_at, {"corpus": corpus}),
            "quantize/quantize": (self.quantize_at, {"corpus": self.corpus.name}),
        }


def read_schedules(data: Path) -> tuple[CorpusSchedule, ...]:
    """Return the schedules of a data root. Raises ConfigurationError for a damaged file."""
    path = home_of(data) / _FILE
    if not path.exists():
        return ()
    try:
        return tuple(CorpusSchedule.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise ConfigurationError(f"{path} is damaged ({' '.join(str(error).split())}); remove it.") from error


def add_schedule(data: Path, schedule: CorpusSchedule) -> None:
    """Schedule a corpus, in place of an earlier schedule of its name; a relative root is one of this folder."""
    corpus = schedule.corpus.model_copy(update={"root": schedule.corpus.root.absolute()})
    others = [one for one in read_schedules(data) if one.corpus.name != corpus.name]
    _write(data, [*others, schedule.model_copy(update={"corpus": corpus})])


def remove_schedule(data: Path, name: str) -> None:
    """Remove the schedule of a corpus. Raises ConfigurationError when there is none."""
    found = read_schedules(data)
    left = [one for one in found if one.corpus.name != name]
    if len(left) == len(found):
        names = ", ".join(one.corpus.name for one in found) or "none"
        raise ConfigurationError(f"There is no schedule of {name}; scheduled: {names}.")
    _write(data, left)


def _write(data: Path, schedules: Sequence[CorpusSchedule]) -> None:
    content = [one.model_dump(mode="json") for one in schedules]
    write_text(home_of(data) / _FILE, json.dumps(content, indent=2) + "\n")


def apply_to_local_server(data: Path) -> bool:
    """Apply the schedules to the local server of a data root; return whether it is up."""
    server = load_local_server(data)
    if server is None or supervisor_pid(server.home) is None:
        return False
    with SyncPrefectClient(server.api_url, auth_string=read_password(server.home)) as client:
        apply_schedules(client, read_schedules(data))
    return True


def apply_schedules(client: SyncPrefectClient, schedules: Sequence[CorpusSchedule]) -> None:
    """Make the nightly deployments of the server those of the file: create, change and delete what differs.

    Each corpus has deployments of its own, copies of `ingest` and `quantize`. One deployment with a schedule and
    parameters for each corpus would lose the parameters: Prefect 3.8.8 clears those of a schedule that is paused.
    Raises ConfigurationError when the declared deployments do not exist.
    """
    for declared_name in ("ingest/ingest", "quantize/quantize"):
        try:
            declared = client.read_deployment_by_name(declared_name)
        except ObjectNotFound as error:
            raise ConfigurationError(f"The server has no deployment {declared_name}; run `valle up`.") from error
        copies = {
            one.name: one
            for one in client.read_deployments(limit=_MOST_DEPLOYMENTS)
            if one.flow_id == declared.flow_id and one.name.startswith(_PREFIX)
        }
        for schedule in schedules:
            cron, changes = schedule.runs[declared_name]
            name = _PREFIX + schedule.corpus.name
            _copy(client, declared, name, cron, changes, earlier=copies.pop(name, None))
        for gone in copies.values():
            client.delete_deployment(gone.id)


def _copy(
    client: SyncPrefectClient,
    declared: DeploymentResponse,
    name: str,
    cron: str,
    changes: dict[str, Any],
    *,
    earlier: DeploymentResponse | None,
) -> None:
    before = earlier.schedules[0] if earlier is not None and earlier.schedules else None
    # A schedule that was paused in the UI stays paused until its time changes.
    active = before.active if before is not None and getattr(before.schedule, "cron", None) == cron else True
    timetable = CronSchedule(cron=cron, timezone="UTC")
    limit = declared.global_concurrency_limit
    client.create_deployment(
        flow_id=declared.flow_id,
        name=name,
        schedules=[DeploymentScheduleCreate(schedule=timetable, active=active, slug="nightly")],
        concurrency_limit=None if limit is None else limit.limit,
        parameters={"parameters": declared.parameters.get("parameters", {}) | changes},
        description=declared.description,
        work_pool_name=declared.work_pool_name,
        work_queue_name=declared.work_queue_name,
        tags=[*declared.tags, "nightly"],
        path=declared.path,
        entrypoint=declared.entrypoint,
        # The corpus may have no source yet, so it is not among the choices.
        parameter_openapi_schema=form_schema(declared.parameter_openapi_schema or {}, NO_CHOICES, {}),
        pull_steps=declared.pull_steps,
        enforce_parameter_schema=declared.enforce_parameter_schema,
        job_variables=declared.job_variables,
    )
