"""Create the table of the days on which keys were used, in the directory: outside the log."""

from shared.migrations import run_sql_beside

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("Services write the table.")
