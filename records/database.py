"""The database of records: SQLite in one file by default, PostgreSQL by URL; the same tables and the same rules."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATING = 4_617_316
"""The number of PostgreSQL's advisory lock that one migrating process holds."""
_BUSY_MILLISECONDS = 5_000
_TRIES = 50


class NotMigrated(RuntimeError):  # noqa: N818 - says what is wrong as it is
    """The database isn't at the version of this program."""


def engine(url: str) -> AsyncEngine:
    """An engine for `sqlite+aiosqlite:///file` or `postgresql+psycopg://…`. Dispose of it when done.

    Values of a statement are kept out of its errors: they hold what customers said.
    """
    made = create_async_engine(url, hide_parameters=True, pool_pre_ping=not url.startswith("sqlite"))
    _prepare(made.sync_engine)
    return made


@asynccontextmanager
async def writing(database: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that may write. On SQLite it has the one write lock from its start, so it never fails half way
    because another process wrote in between."""
    async with database.connect() as connection:
        await connection.execution_options(claimdesk_writes=True)
        async with connection.begin():
            yield connection


def migrate(url: str) -> None:
    """Bring the database that `url` names (as for `engine`) to the version of this program; makes a missing SQLite
    file with its folder. Harmless when it is there already, or when two processes do it at once."""
    with _migrating(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


async def check_migrated(database: AsyncEngine) -> None:
    """Raises NotMigrated, which says what to do, where the database isn't at the version of this program."""
    wanted = set(ScriptDirectory.from_config(_config()).get_heads())
    found: set[str] = set()
    # SQLite would make a missing file, or fail over its missing folder.
    if database.dialect.name != "sqlite" or await asyncio.to_thread(Path(database.url.database or "").exists):
        async with database.connect() as connection:
            found = set(await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads()))
    if found != wanted:
        raise NotMigrated(
            f"The database is at version {', '.join(sorted(found)) or 'none'}, this program needs "
            f"{', '.join(sorted(wanted))}. Run `claimdesk migrate` with this version, then start again."
        )


def _config() -> Config:
    config = Config()
    # ConfigParser reads %: a folder may have one in its name.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _migrating(url: str) -> Iterator[Connection]:
    address = make_url(url)
    on_sqlite = address.get_backend_name() == "sqlite"
    if on_sqlite:
        address = address.set(drivername="sqlite")
        if address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    migrator = create_engine(address, hide_parameters=True)
    _prepare(migrator)
    try:
        if on_sqlite and address.database:
            _let_read_while_writing(address.database)
        with migrator.connect().execution_options(claimdesk_writes=True) as connection, connection.begin():
            if not on_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
            yield connection
    finally:
        migrator.dispose()


def _let_read_while_writing(file: str) -> None:
    """Sets SQLite's write-ahead log, which the file then keeps. Only this doesn't wait for another that does it too."""
    for attempt in range(1, _TRIES + 1):
        with closing(sqlite3.connect(file)) as connection:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if attempt == _TRIES:
                    raise
        time.sleep(_BUSY_MILLISECONDS / 1000 / _TRIES)


class _Cursor(Protocol):
    def execute(self, statement: str) -> object: ...
    def close(self) -> None: ...


class _SqliteConnection(Protocol):
    isolation_level: str | None

    def cursor(self) -> _Cursor: ...


def _prepare(sync_engine: Engine) -> None:
    if sync_engine.dialect.name != "sqlite":
        return

    @event.listens_for(sync_engine, "connect")
    def _on_connect(connection: _SqliteConnection, _entry: ConnectionPoolEntry) -> None:
        # Left to itself Python's driver begins transactions late, and as readers.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("claimdesk_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
