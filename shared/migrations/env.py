"""Alembic's entry: runs on the connection that `shared.migrate` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="migrations", version_table_schema="log")
with context.begin_transaction():
    context.run_migrations()
