"""The same tests on both databases: SQLite in a file, and PostgreSQL where CLAIMDESK_TEST_POSTGRES_URL names one."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from records.claims import ClaimRecords
from records.credits import CreditRecords
from records.database import engine, migrate


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, gone after the test."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'records.db'}"
        return
    server = os.environ.get("CLAIMDESK_TEST_POSTGRES_URL")
    if not server:
        pytest.skip("CLAIMDESK_TEST_POSTGRES_URL is not set, so nothing is tested on PostgreSQL")
    schema = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    try:
        address = make_url(server).set(drivername="postgresql+psycopg")
        yield address.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[AsyncEngine]:
    """That database with its tables."""
    migrate(database_url)
    made = engine(database_url)
    yield made
    await made.dispose()


@pytest.fixture
def claim_records(database: AsyncEngine) -> ClaimRecords:
    return ClaimRecords(database)


@pytest.fixture
def credit_records(database: AsyncEngine) -> CreditRecords:
    return CreditRecords(database)
