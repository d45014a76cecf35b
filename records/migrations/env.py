"""Alembic's entry: runs the versions on the connection that `records.database.migrate` hands over."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise RuntimeError("Migrations are run by records.database.migrate, not by the alembic program.")

context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
