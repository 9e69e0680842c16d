"""Create the table by which audit stops the services of a log that was restored to an older copy."""

from shared.migrations import run_sql_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("Services read the table.")
