"""The event log: one table in partitions, append-only for everyone, and what each service's schema holds beside its read models."""

from pathlib import Path
from typing import Any

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text()
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda asyncpg: asyncpg.execute(script))  # a prepared statement takes one command


def downgrade() -> None:
    raise NotImplementedError("The log is append-only: there is no way back from its creation.")
