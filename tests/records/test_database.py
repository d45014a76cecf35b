"""The database: migrations from anywhere, transactions that hold, secrets that stay out of errors."""

import asyncio
import os
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from records import tables
from records.database import NotMigrated, check_migrated, engine, migrate, writing

from .samples import NOW


async def test_migrations_make_exactly_the_tables(database: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), tables.metadata))

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_keeps_what_is_there(database: AsyncEngine, database_url: str) -> None:
    async with writing(database) as connection:
        await connection.execute(insert(tables.sweeps).values(name="tickets", succeeded_at=NOW))
    migrate(database_url)
    async with database.connect() as connection:
        assert await connection.scalar(select(tables.sweeps.c.succeeded_at)) == NOW


def test_migrates_from_any_folder_and_makes_the_database_s_own(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = tmp_path / "50% new" / "records.db"
    program = "import sys; from records.database import migrate; migrate(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", program, f"sqlite+aiosqlite:///{file}"],
        cwd=elsewhere,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(tables.__file__).parents[1])},
    )
    assert file.exists()


async def test_two_processes_may_migrate_at_once(database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, database_url) for _ in range(2)))
    made = engine(database_url)
    await check_migrated(made)
    await made.dispose()


async def test_a_database_that_was_not_migrated_says_what_to_do(database_url: str) -> None:
    made = engine(database_url)
    with pytest.raises(NotMigrated, match="claimdesk migrate"):
        await check_migrated(made)
    await made.dispose()


async def test_a_database_that_is_not_there_is_not_made_by_asking(tmp_path: Path) -> None:
    folder = tmp_path / "no such folder"
    made = engine(f"sqlite+aiosqlite:///{folder / 'records.db'}")
    with pytest.raises(NotMigrated, match="at version none"):
        await check_migrated(made)
    assert not await asyncio.to_thread(folder.exists)
    await made.dispose()


async def test_two_writers_wait_for_each_other(database: AsyncEngine) -> None:
    async with writing(database) as connection:
        await connection.execute(insert(tables.sweeps).values(name="tickets", succeeded_at=NOW))

    async def later() -> None:
        async with writing(database) as connection:
            at = await connection.scalar(select(tables.sweeps.c.succeeded_at).with_for_update())
            assert isinstance(at, datetime)
            await asyncio.sleep(0)
            await connection.execute(tables.sweeps.update().values(succeeded_at=at.replace(year=at.year + 1)))

    await asyncio.gather(*(later() for _ in range(8)))
    async with database.connect() as connection:
        assert await connection.scalar(select(tables.sweeps.c.succeeded_at)) == NOW.replace(year=NOW.year + 8)


async def test_an_error_of_the_database_does_not_tell_what_was_written(database: AsyncEngine) -> None:
    broken = text("INSERT INTO nowhere VALUES (:text)")
    with pytest.raises(DBAPIError) as caught:
        async with writing(database) as connection:
            await connection.execute(broken, {"text": "what the customer said"})
    assert "what the customer said" not in str(caught.value)


@pytest.mark.parametrize("amount", ["0.10", "-41.34", "9223372036854.775807", "0.000001", "1069.00", "0"])
async def test_money_comes_back_exactly(database: AsyncEngine, amount: str) -> None:
    column = tables.MoneyColumn()
    async with database.connect() as connection:
        kept = column.process_bind_param(Decimal(amount), connection.dialect)
        back = await connection.scalar(text("SELECT CAST(:kept AS BIGINT)"), {"kept": kept})
        assert column.process_result_value(back, connection.dialect) == Decimal(amount)


@pytest.mark.parametrize("amount", ["0.0000001", "9223372036854.775808"])
async def test_money_that_cannot_be_exact_is_refused(database: AsyncEngine, amount: str) -> None:
    with pytest.raises(ValueError, match="at most 6 decimals"):
        tables.MoneyColumn().process_bind_param(Decimal(amount), database.dialect)


async def test_people_read_what_is_there_while_another_process_writes(database: AsyncEngine, database_url: str) -> None:
    api = engine(database_url)
    async with writing(database) as connection:
        await connection.execute(insert(tables.sweeps).values(name="tickets", succeeded_at=NOW))
        async with asyncio.timeout(2), api.connect() as reading:
            assert (await reading.scalars(select(tables.sweeps.c.name))).all() == []
    async with api.connect() as reading:
        assert (await reading.scalars(select(tables.sweeps.c.name))).all() == ["tickets"]
    await api.dispose()
