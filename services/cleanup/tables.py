"""The read models of this service, rebuilt from its part of the log. Each row depends on one stream."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.log.due_work import DUE

_metadata = MetaData()

MODELS = Table(
    "models",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("model", Text, nullable=False),
)

# Every name that a model ever had: a renamed model is found by its old name.
NAMES = Table(
    "names",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("model_id", Text, nullable=False),
)

VERSIONS = Table(
    "versions",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("semver", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
)

POLICIES = Table(
    "policies",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("policy", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

# The policies that models without one of their own inherit. The namespace "*" is everything.
DEFAULTS = Table(
    "defaults",
    _metadata,
    Column("namespace", Text, primary_key=True),
    Column("policy", JSONB, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

USES = Table(
    "uses",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("last_used_at", DateTime(timezone=True), nullable=False),
)

USES_BY_DAY = Table(
    "uses_by_day",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
)

# The verdict of a cleanup run on a version, as it is now: marked, spared, proposed, retired or refused.
VERDICTS = Table(
    "verdicts",
    _metadata,
    Column("cleanup_run_id", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    Column("semver", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("delete_after", DateTime(timezone=True)),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("verdicts_by_version", "model_id", "number", "at"),
)

CLEANUP_RUNS = Table(
    "cleanup_runs",
    _metadata,
    Column("cleanup_run_id", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("models", Integer, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Index("cleanup_runs_by_time", "at"),
)

# Reports of use that wait for their model.
EARLY = Table(
    "early",
    _metadata,
    Column("report_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("message", JSONB, nullable=False),
    Index("early_by_name", "name"),
)

# The declared environments, and those in which versions of a model served: what a report of use may name.
ENVIRONMENTS = Table(
    "environments",
    _metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
)

SERVED_IN = Table(
    "served_in",
    _metadata,
    Column("model_id", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
)

TABLES = (
    MODELS,
    NAMES,
    VERSIONS,
    POLICIES,
    DEFAULTS,
    USES,
    USES_BY_DAY,
    VERDICTS,
    CLEANUP_RUNS,
    EARLY,
    ENVIRONMENTS,
    SERVED_IN,
    DUE,
)
