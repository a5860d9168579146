"""Prefect server of `valle up`: `python -m flows.server.prefect_server start --port 4200`, as `prefect server start`.

On SQLite, Prefect's API reads and then writes in one transaction. When somebody else has written in between, SQLite
refuses at once, however long one is willing to wait, and the API answers 503: on a busy machine one in eight forms
could not be sent off. Here a transaction takes the place of the one writer when it begins, for which SQLite does wait.
PostgreSQL, the database for several machines, has many writers and needs none of this. On either, events that repeat
what other tables say are not stored (`flows/server/prefect_patches.py`), and runs that are there already are watched
(`flows/server/orphaned_runs.py`).
"""

import runpy
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from flows.server.orphaned_runs import watch_when_started
from flows.server.prefect_patches import keep_few_events


class OneWriter(AioSqliteConfiguration):
    """SQLite whose transactions wait for each other from their beginning."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction as the one writer."""
        mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
        try:
            async with session.begin() as transaction:
                await session.connection()  # BEGIN is sent now and not with the first statement
                SQLITE_BEGIN_MODE.set("DEFERRED")  # for sessions that only read, opened meanwhile
                yield transaction
        finally:
            SQLITE_BEGIN_MODE.reset(mode)


def main(arguments: Sequence[str]) -> None:
    """Run `prefect server ARGUMENTS` in this process."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        MODELS_DEPENDENCIES["database_config"] = OneWriter(connection_url=url)
    keep_few_events()
    watch_when_started(arguments)
    sys.argv = ["prefect", "server", *arguments]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
