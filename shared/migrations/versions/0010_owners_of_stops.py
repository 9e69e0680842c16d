"""Give a stop from before migration 0008 to audit, which wrote it, so that audit can take it back."""

from shared.migrations import run_sql_beside

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_beside(__file__)


def downgrade() -> None:
    raise NotImplementedError("The former owner of the row is stored nowhere else.")
