"""A partition of the log may be spread over several tables, by the hash of the stream."""

from pathlib import Path
from typing import Any

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text()
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda asyncpg: asyncpg.execute(script))


def downgrade() -> None:
    raise NotImplementedError(
        "The log is append-only: a partition is put together again by splitting it into 1."
    )
