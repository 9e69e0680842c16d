"""Create the order of leaves, the tree and its checkpoints."""

from shared.migrations import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_beside(__file__)
