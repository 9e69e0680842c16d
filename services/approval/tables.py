"""The read models of approval. They are rebuilt from its part of the log; each row depends on one stream."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.log.due_work import DUE

_metadata = MetaData()

POLICIES = Table(
    "policies",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("policy", JSONB, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("published_by", Text, nullable=False),
)

# A weaker revision that waits for a second admin.
PROPOSALS = Table(
    "proposals",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("policy", JSONB, nullable=False),
    Column("weaker", JSONB, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("proposed_by", Text, nullable=False),
)

# Every revision of every policy, which past decisions were made by.
POLICY_REVISIONS = Table(
    "policy_revisions",
    _metadata,
    *(
        Column(c.name, c.type, primary_key=c.name in {"name", "revision"}, nullable=False)
        for c in POLICIES.columns
    ),
)

MODELS = Table(
    "models",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("tags", JSONB, nullable=False),
    Index("models_by_name", "model"),
)

# Every name that a model ever had: old ones name it, too.
NAMES = Table(
    "names",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("model_id", Text, nullable=False),
)

# The champion of each environment, which other versions are compared with.
CHAMPIONS = Table(
    "champions",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("production", Boolean, nullable=False),
)

VERSIONS = Table(
    "versions",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("semver", Text, nullable=False),
    Column("bump", Text, nullable=False),
    Column("makers", JSONB, nullable=False),
    Column("training", JSONB, nullable=False),
    Column("signature", JSONB),
    Column("artifact_digest", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("retired", Boolean, nullable=False),
    Index("versions_in_staging", "model_id", postgresql_where=text("stage = 'Staging'")),
)

# The state of a version's bytes. The row may come before the version's.
ARTIFACTS = Table(
    "artifacts",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
)

# The latest verdict of each stage.
GATES = Table(
    "gates",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("results", JSONB, nullable=False),
    Column("policy", JSONB, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("promotion_id", Text),
    Column("evaluated_at", DateTime(timezone=True), nullable=False),
)

PROMOTIONS = Table(
    "promotions",
    _metadata,
    Column("promotion_id", Text, primary_key=True),
    Column("model_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("environment", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("conditions", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("approvers", JSONB, nullable=False),
    Column("override", Boolean, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("decided_at", DateTime(timezone=True)),
    Index("promotions_by_version", "model_id", "number"),
)

REVIEWS = Table(
    "reviews",
    _metadata,
    Column("review_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("semver", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("production", Boolean, nullable=False),
    Column("serve", Boolean, nullable=False),
    Column("needs", Integer, nullable=False),
    Column("approvers", JSONB, nullable=False),
    Column("roles", JSONB, nullable=False),
    Column("excluded", JSONB, nullable=False),
    Column("seal", JSONB, nullable=False),
    Column("sealed_digest", Text, nullable=False),
    Column("policy", JSONB, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("results", JSONB, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("requester", Text, nullable=False),
    Column("machines", JSONB, nullable=False),
    Column("dependent_because", Text, nullable=False),
    Column("sign_in", JSONB),
    Column("due_at", DateTime(timezone=True)),
    Column("overdue_since", DateTime(timezone=True)),
    Index("reviews_by_state", "state", "opened_at", "review_id"),
    Index("reviews_by_time", "opened_at", "review_id"),
    Index("reviews_of_model", "model_id", "opened_at", "review_id"),
)

# What people wrote and did in a review, in order. `justified`: what an after-review found, null for others.
REVIEW_ENTRIES = Table(
    "review_entries",
    _metadata,
    Column("review_id", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("conditions", JSONB, nullable=False),
    Column("justified", Boolean),
    Column("at", DateTime(timezone=True), nullable=False),
)

# The declared environments: what a policy may select.
ENVIRONMENTS = Table(
    "environments",
    _metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
)

TABLES = (
    POLICIES,
    PROPOSALS,
    POLICY_REVISIONS,
    MODELS,
    NAMES,
    CHAMPIONS,
    VERSIONS,
    ARTIFACTS,
    GATES,
    PROMOTIONS,
    REVIEWS,
    REVIEW_ENTRIES,
    ENVIRONMENTS,
    DUE,
)
