"""Which events the server of a station stores."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import temporary_database_config
from prefect.server.database.orm_models import Base
from prefect.server.events.schemas.events import ReceivedEvent, Resource
from prefect.server.events.services import event_persister
from prefect.server.utilities.messaging.memory import MemoryMessage

from flows.server.prefect_patches import keep_few_events


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_persister, "write_events", event_persister.write_events)  # so that it is put back
    keep_few_events()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[None]:
    with temporary_database_config(AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")):
        yield


async def stored(names: list[str]) -> list[str]:
    """The events of `names` that Prefect's persister leaves in its database."""
    db = provide_database_interface()
    async with (await db.engine()).begin() as connection:
        tables = [db.Event.__table__, db.EventResource.__table__]
        await connection.run_sync(Base.metadata.create_all, tables=tables)
    async with event_persister.create_handler(batch_size=len(names)) as handle:
        for name in names:
            resource = Resource({"prefect.resource.id": f"{name}.one"})
            event = ReceivedEvent(occurred=datetime.now(UTC), event=name, resource=resource, id=uuid4())
            await handle(MemoryMessage(data=event.model_dump_json(), attributes={}))
    async with db.session_context() as session:
        return sorted((await session.execute(sa.select(db.Event.event))).scalars())


TOLD = [
    "prefect.task-run.Running",
    "prefect.flow-run.heartbeat",
    "prefect.flow-run.Running",
    "valle.stages.ingest.finished",
    "prefect.artifact.updated",
    "prefect.task-run.Completed",
]


def test_states_of_tasks_heartbeats_and_progress_are_not_stored_as_events_and_all_others_are(
    database: None, few: None
) -> None:
    assert asyncio.run(stored(TOLD)) == ["prefect.flow-run.Running", "valle.stages.ingest.finished"]


def test_without_it_all_of_them_are(database: None) -> None:
    assert asyncio.run(stored(TOLD)) == sorted(TOLD)


def test_what_is_not_stored_alone_stores_nothing(database: None, few: None) -> None:
    assert asyncio.run(stored(["prefect.task-run.Pending"])) == []
