"""Create the directory of names, outside the log and outside every read model."""

from alembic import op

revision = "0002"
down_revision = "0001"

DIRECTORY = """
-- `revision` is that of the event in the identity's stream that this row follows. `former` are names before
-- corrections. A name that is NULL was never given, or was erased.
CREATE TABLE directory.names (
    subject  text   PRIMARY KEY,
    name     text,
    former   text[] NOT NULL DEFAULT '{}',
    revision bigint NOT NULL CHECK (revision > 0)
)
"""

FORMER_EVENTS = """
-- The first schema of IdentityCreated held the name: copy it. An empty name counts as none.
INSERT INTO directory.names (subject, name, revision)
SELECT data ->> 'subject', nullif(btrim(data ->> 'name'), ''), revision
FROM log.events, LATERAL (SELECT convert_from(bytes, 'UTF8')::jsonb -> 'data' AS data) AS stored
WHERE service = 'access' AND type = 'IdentityCreated' AND schema = 1
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA directory")
    op.execute(DIRECTORY)
    op.execute(FORMER_EVENTS)


def downgrade() -> None:
    raise NotImplementedError("The names are stored nowhere else.")
