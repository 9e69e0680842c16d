"""Describe changes of rows as data, for projections: a commit runs upserts, a rebuild runs COPY."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table


@dataclass(frozen=True, slots=True)
class Put:
    """Insert or replace the row with this primary key. A column that is not named is NULL."""

    table: Table
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """Set some columns of the row with this primary key. A row that does not exist is not created."""

    table: Table
    key: Mapping[str, Any]
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete the row with this primary key, if it exists."""

    table: Table
    key: Mapping[str, Any]


Change = Put | Patch | Drop
