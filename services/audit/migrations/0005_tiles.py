"""Store the tree as tiles; drop unique indexes of leaves that no question needs."""

from shared.migrations import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql_beside(__file__)
