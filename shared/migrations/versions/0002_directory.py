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

FORMER_EVENTS = """
-- The first schema of IdentityCreated held the name: whoever was created then keeps it. An empty one was none.
INSERT INTO directory.names (subject, name, revision)
SELECT data ->> 'subject', nullif(btrim(data ->> 'name'), ''), revision
FROM log.events, LATERAL (SELECT convert_from(bytes, 'UTF8')::jsonb -> 'data' AS data) AS said
WHERE service = 'access' AND type = 'IdentityCreated' AND schema = 1
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA directory")
    op.execute(DIRECTORY)
    op.execute(FORMER_EVENTS)


def downgrade() -> None:
    raise NotImplementedError("The names stand nowhere else.")
