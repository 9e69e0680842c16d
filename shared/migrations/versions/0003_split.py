"""Create the procedure that distributes a partition over several tables, by the hash of the stream."""

from shared.migrations import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("The log is append-only: split a partition into 1 to have one table again.")
