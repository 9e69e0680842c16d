"""The read models of this service, rebuilt from its part of the log. Each row depends on one stream."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.log.due_work import DUE

_metadata = MetaData()

TARGETS = Table(
    "targets",
    _metadata,
    Column("target", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("namespaces", JSONB, nullable=False),
    Column("from_stage", Text, nullable=False),
    Column("first_request", BigInteger, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("set_by", Text, nullable=False),
    Column("surveyed", Boolean, nullable=False),
    Column("failed_at", DateTime(timezone=True)),
    Column("failure", Text),
    Column("next_at", DateTime(timezone=True)),
)

# Apart from TARGETS, so that a change of a target leaves the newest check.
CHECKS = Table(
    "checks",
    _metadata,
    Column("target", Text, primary_key=True),
    Column("check_id", Text, nullable=False),
    Column("repair", Boolean, nullable=False),
    Column("running", Boolean, nullable=False),
    Column("compared", Integer, nullable=False),
    Column("drifted", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

# Each version at a target: whether it is in step, and why not.
STANDINGS = Table(
    "standings",
    _metadata,
    Column("target", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("request", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("differences", JSONB),
    Index("standings_by_status", "target", "status", "attempts", "request"),
)

# What a version is called at a target, from the first time it was there.
SHOWN = Table(
    "shown",
    _metadata,
    Column("target", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("semver", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("aliases", JSONB, nullable=False),
    Column("position", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

# What a model is called at a target: the name of its first version there stays.
NAMES = Table(
    "names",
    _metadata,
    Column("target", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Index("names_by_name", "target", "name"),
)

TABLES = (TARGETS, CHECKS, STANDINGS, SHOWN, NAMES, DUE)
