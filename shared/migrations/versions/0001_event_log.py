"""Create the event log (one append-only table in partitions) and the procedures that add partitions."""

from shared.migrations import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("The log is append-only: its creation cannot be undone.")
