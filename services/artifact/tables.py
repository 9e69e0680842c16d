"""The read models of this service. They are disposable: a rebuild reads them from the log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.log.due_work import DUE

METADATA = MetaData()

ARTIFACTS = Table(
    "artifacts",
    METADATA,
    Column("hex", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("verified", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("uri", Text),
    Column("size", BigInteger),
    Column("files", JSONB),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("checked_at", DateTime(timezone=True)),
    Column("delete_at", DateTime(timezone=True)),
)
"""One row per digest.

`domain.artifact_state.phase` names the state that the generations stand for. `files` are those of the
verified manifest.
"""

REFERENCES = Table(
    "artifact_references",
    METADATA,
    Column("model_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("hex", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("rejected", Boolean, nullable=False),
    Column("location", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("detail", Text),
    Column("files", JSONB, nullable=False),
    Column("noted_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("proven", Boolean, nullable=False),
    Index("artifact_references_by_hex", "hex"),
    Index("artifact_references_by_location", "location", postgresql_ops={"location": "text_pattern_ops"}),
)
"""One row per version that ever referred to an artifact. `files` are those it claimed.

`proven`: its makers have shown that they have the bytes or may read them.
"""

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("upload_id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("uploads_by_subject", "subject", "state"),
)

TABLES = (ARTIFACTS, REFERENCES, UPLOADS, DUE)
