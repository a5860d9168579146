"""Patches of Prefect: each test fails when Prefect changes what is patched, or no longer needs the patch."""

import asyncio
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import prefect
import pytest
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES, temporary_database_config
from prefect.server.database.orm_models import Base
from prefect.server.events.schemas.events import ReceivedEvent, Resource
from prefect.server.events.services import event_persister
from prefect.server.utilities.messaging.memory import MemoryMessage
from sqlalchemy.exc import OperationalError

from flows.server import prefect_patches
from flows.server.prefect_patches import ImmediateTransactions, apply_server_patches, store_few_events

EVENTS = [
    "prefect.task-run.Running",
    "prefect.flow-run.heartbeat",
    "prefect.flow-run.Running",
    "valle.ingest.finished",
    "prefect.artifact.updated",
    "prefect.task-run.Completed",
]


def test_the_patches_name_the_installed_prefect() -> None:
    assert f"Prefect {prefect.__version__}" in inspect.getdoc(prefect_patches)  # type: ignore[operator]


def test_a_server_on_sqlite_gets_both_patches_and_one_on_postgresql_only_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_persister, "write_events", event_persister.write_events)  # restored after the test
    monkeypatch.setitem(MODELS_DEPENDENCIES, "database_config", None)
    apply_server_patches("postgresql+asyncpg://prefect@database/prefect")
    assert MODELS_DEPENDENCIES["database_config"] is None
    apply_server_patches("sqlite+aiosqlite:////somewhere/prefect.db")
    assert isinstance(MODELS_DEPENDENCIES["database_config"], ImmediateTransactions)
    assert event_persister.write_events is prefect_patches.write_stored_events


async def read_and_write(database: AioSqliteConfiguration, met: asyncio.Barrier | None) -> int:
    """Add one to a number in one transaction; `met` lets both read before either writes."""
    async with await database.session(await database.engine()) as session, database.begin_transaction(session):
        found = int((await session.execute(sa.text("SELECT x FROM t"))).scalar_one())
        if met is not None:
            await met.wait()
        await asyncio.sleep(0.1)
        await session.execute(sa.text(f"UPDATE t SET x = {found + 1}"))
        return found


async def create_table(database: AioSqliteConfiguration) -> None:
    async with (await database.engine()).begin() as connection:
        await connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
        await connection.execute(sa.text("INSERT INTO t VALUES (0)"))


def test_immediate_transactions_that_read_and_then_write_wait_for_each_other(tmp_path: Path) -> None:
    async def act() -> list[int]:
        database = ImmediateTransactions(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")
        await create_table(database)
        return await asyncio.gather(*(read_and_write(database, None) for _ in range(3)))

    assert sorted(asyncio.run(act())) == [0, 1, 2]


def test_without_the_patch_one_of_two_transactions_is_refused(tmp_path: Path) -> None:
    async def act() -> None:
        database = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")
        await create_table(database)
        met = asyncio.Barrier(2)
        await asyncio.gather(*(read_and_write(database, met) for _ in range(2)))

    with pytest.raises(OperationalError, match="locked"):
        asyncio.run(act())


def test_a_session_that_only_reads_does_not_wait_for_the_transaction_it_is_opened_in(tmp_path: Path) -> None:
    async def act() -> int:
        database = ImmediateTransactions(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")
        await create_table(database)
        engine = await database.engine()
        async with await database.session(engine) as outer, database.begin_transaction(outer):
            await outer.execute(sa.text("UPDATE t SET x = 5"))
            async with await database.session(engine) as inner:
                return int((await inner.execute(sa.text("SELECT x FROM t"))).scalar_one())

    assert asyncio.run(asyncio.wait_for(act(), 60)) == 0


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_persister, "write_events", event_persister.write_events)  # restored after the test
    store_few_events()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[None]:
    with temporary_database_config(AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")):
        yield


async def stored(names: list[str]) -> list[str]:
    """Return those of the events `names` that Prefect's persister stores."""
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


def test_states_of_tasks_heartbeats_and_progress_are_not_stored_as_events_and_all_others_are(
    database: None, few: None
) -> None:
    assert asyncio.run(stored(EVENTS)) == ["prefect.flow-run.Running", "valle.ingest.finished"]


def test_without_the_patch_all_events_are_stored(database: None) -> None:
    assert asyncio.run(stored(EVENTS)) == sorted(EVENTS)


def test_a_batch_of_unstored_events_stores_nothing(database: None, few: None) -> None:
    assert asyncio.run(stored(["prefect.task-run.Pending"])) == []
