"""What migrations of the log and of services share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import op


def run_sql_beside(migration: str) -> None:
    """Run the SQL file that has the name of this migration: call it with `__file__`.

    The file may hold several statements. A prepared statement holds one, so asyncpg runs the text directly.
    """
    script = Path(migration).with_suffix(".sql").read_text()
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda asyncpg: asyncpg.execute(script))
