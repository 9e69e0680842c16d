"""Index by time what changes who may do what, and what serves."""

from shared.migrations import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_beside(__file__)
