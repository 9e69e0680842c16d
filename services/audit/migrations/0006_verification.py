"""Record how far the log is verified, and what is wrong with it."""

from shared.migrations import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_beside(__file__)
