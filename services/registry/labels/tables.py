"""The tables of labels and of the modes of namespaces. The columns of labels are in those of the registry."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

_registry = MetaData()

LABEL_ALIASES = Table(
    "label_aliases",
    _registry,
    Column("model_id", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("number", Integer, nullable=False),
)
"""Aliases that only MLflow's clients see. They decide nothing."""

MLFLOW_MODES = Table(
    "mlflow_modes",
    _registry,
    Column("namespace", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""What MLflow's clients may do in a namespace and in those below it; `*` is everywhere."""
