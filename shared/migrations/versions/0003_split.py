"""A partition of the log may be spread over several tables, by the hash of the stream."""

from shared.migrations import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError(
        "The log is append-only: a partition is put together again by splitting it into 1."
    )
