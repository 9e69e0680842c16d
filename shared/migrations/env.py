"""Alembic's entry: run one folder of migrations on the connection that `shared.migrate` passes.

Each folder has a version table of its own, `migrations` in the schema that the folder is for.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="migrations",
    version_table_schema=context.config.attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
