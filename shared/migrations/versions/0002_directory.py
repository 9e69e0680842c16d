"""The directory of names, outside the log and outside every read model."""

from alembic import op

revision = "0002"
down_revision = "0001"

DIRECTORY = """
-- `revision` is that of the event in the identity's stream which this row follows. `former` are names before a correction. NULL: none, or erased.
CREATE TABLE directory.names (
    subject  text   PRIMARY KEY,
    name     text,
    former   text[] NOT NULL DEFAULT '{}',
    revision bigint NOT NULL CHECK (revision > 0)
)
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA directory")
    op.execute(DIRECTORY)


def downgrade() -> None:
    raise NotImplementedError("The names stand nowhere else.")
