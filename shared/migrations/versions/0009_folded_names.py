"""Let the directory find people by their folded name, and keep salted digests of erased names."""

from alembic import op
from sqlalchemy import text

from shared.deciding.person import folded_name
from shared.migrations import run_sql_beside

revision = "0009"
down_revision = "0008"

FOLD = text("UPDATE directory.names SET folded = :folded WHERE subject = :subject")


def upgrade() -> None:
    run_sql_beside(__file__)
    connection = op.get_bind()
    for subject, name in connection.exec_driver_sql(
        "SELECT subject, name FROM directory.names WHERE name IS NOT NULL"
    ).fetchall():
        connection.execute(FOLD, {"folded": folded_name(name), "subject": subject})


def downgrade() -> None:
    raise NotImplementedError("The digests of erased names are stored nowhere else.")
