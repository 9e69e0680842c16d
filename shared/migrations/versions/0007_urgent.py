"""Create the table of messages that must reach their readers while Kafka is unavailable."""

from shared.migrations import run_sql_beside

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("Services read the table.")
