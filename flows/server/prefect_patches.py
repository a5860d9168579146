"""Changes of Prefect's internals in the server process, made for Prefect 3.8.8.

Each patch names its reason and Prefect's issue; `tests/unit/flows/server/test_prefect_patches.py` fails when Prefect no
longer has the fault or the place that is patched.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.events.services import event_persister
from prefect.server.events.storage.database import write_events
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

UNSTORED_EVENTS = ("prefect.task-run.", "prefect.flow-run.heartbeat", "prefect.artifact.updated")
"""Prefixes of the events that are not stored: they repeat other tables or report no change."""


def apply_server_patches(database_url: str) -> None:
    """Patch the Prefect server of this process, before its application is created."""
    if database_url.startswith("sqlite"):
        use_immediate_transactions(database_url)
    store_few_events()


# Patch 1, https://github.com/PrefectHQ/prefect/issues/18934 and 10188: "database is locked" on SQLite.
# Prefect 3.8.8 begins most transactions as readers. If another connection wrote between the read and the first write,
# SQLite refuses at once, with any timeout, and the API answers 503: one form in eight on a busy machine.
# PostgreSQL needs no patch.


class ImmediateTransactions(AioSqliteConfiguration):
    """SQLite configuration whose transactions acquire the write lock when they begin, for which SQLite does wait."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction with the write lock."""
        mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
        try:
            async with session.begin() as transaction:
                await session.connection()  # sends BEGIN now instead of with the first statement
                SQLITE_BEGIN_MODE.set("DEFERRED")  # for sessions opened meanwhile that only read
                yield transaction
        finally:
            SQLITE_BEGIN_MODE.reset(mode)


def use_immediate_transactions(database_url: str) -> None:
    """Configure Prefect's models for SQLite with immediate transactions."""
    MODELS_DEPENDENCIES["database_config"] = ImmediateTransactions(connection_url=database_url)


# Patch 2, https://github.com/PrefectHQ/prefect/issues/20728: events fill the database.
# Prefect 3 reports every state of a task by an event. Recorder and automations read it from memory; after that it is
# stored too, which was four fifths of the bytes per task. There is no setting per event type before storage.


async def write_stored_events(session: AsyncSession, events: list[ReceivedEvent]) -> None:
    """Write the events that are stored, as Prefect's `write_events` writes all of them."""
    stored = [event for event in events if not event.event.startswith(UNSTORED_EVENTS)]
    await write_events(session=session, events=stored)


def store_few_events() -> None:
    """Let the event persister of this process skip `UNSTORED_EVENTS`."""
    vars(event_persister)["write_events"] = write_stored_events
