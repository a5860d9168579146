"""What the server of a station adds to Prefect's own."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.exc import OperationalError

from flows.server.prefect_server import OneWriter


async def read_and_write(database: AioSqliteConfiguration, met: asyncio.Barrier | None) -> int:
    """Add one to a number in one transaction; `met` makes both have read before either writes."""
    async with await database.session(await database.engine()) as session, database.begin_transaction(session):
        found = int((await session.execute(sa.text("SELECT x FROM t"))).scalar_one())
        if met is not None:
            await met.wait()
        await asyncio.sleep(0.1)
        await session.execute(sa.text(f"UPDATE t SET x = {found + 1}"))
        return found


async def prepare(database: AioSqliteConfiguration) -> None:
    async with (await database.engine()).begin() as connection:
        await connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
        await connection.execute(sa.text("INSERT INTO t VALUES (0)"))


def test_two_transactions_that_read_and_then_write_wait_for_each_other(tmp_path: Path) -> None:
    async def act() -> list[int]:
        database = OneWriter(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")
        await prepare(database)
        return await asyncio.gather(*(read_and_write(database, None) for _ in range(3)))

    assert sorted(asyncio.run(act())) == [0, 1, 2]


def test_without_it_one_of_them_is_refused(tmp_path: Path) -> None:
    async def act() -> None:
        database = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")
        await prepare(database)
        met = asyncio.Barrier(2)
        await asyncio.gather(*(read_and_write(database, met) for _ in range(2)))

    with pytest.raises(OperationalError, match="locked"):
        asyncio.run(act())


def test_a_session_that_only_reads_is_not_kept_waiting_by_the_transaction_it_is_opened_in(tmp_path: Path) -> None:
    async def act() -> int:
        database = OneWriter(connection_url=f"sqlite+aiosqlite:///{tmp_path}/one.db")
        await prepare(database)
        engine = await database.engine()
        async with await database.session(engine) as outer, database.begin_transaction(outer):
            await outer.execute(sa.text("UPDATE t SET x = 5"))
            async with await database.session(engine) as inner:
                return int((await inner.execute(sa.text("SELECT x FROM t"))).scalar_one())

    assert asyncio.run(asyncio.wait_for(act(), 10)) == 0
