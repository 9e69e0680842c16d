"""The event log: one table in partitions, append-only for everyone, and what each service's schema holds beside its read models."""

from shared.migrations import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("The log is append-only: there is no way back from its creation.")
