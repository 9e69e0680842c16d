"""Let the order of the log survive a restored dump: an epoch before the transaction id."""

from shared.migrations import run_sql_beside

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("Events of a later epoch are ordered by it.")
