"""What migrations of the log and of services share."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from shared.foundation.sql_scripts import run_sql


def run_sql_beside(migration: str) -> None:
    """Run the SQL file that has the name of this migration: call it with `__file__`.

    The file may hold several statements.
    """
    run_sql(op.get_bind(), Path(migration).with_suffix(".sql").read_text())
