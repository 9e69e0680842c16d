"""Create the function that decides which names a list of namespaces covers, for every service's queries."""

from shared.migrations import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("Queries of services use the function.")
