"""Row changes as data: what a projection returns, what a commit merges into upserts and a rebuild into COPY."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table


@dataclass(frozen=True, slots=True)
class Put:
    """The whole row, by column name; it replaces what stood under its primary key.

    A column not named is NULL.
    """

    table: Table
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """Some columns of the row with this primary key (by column name). A missing row stays missing."""

    table: Table
    key: Mapping[str, Any]
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drop:
    """The row with this primary key goes, if it is there."""

    table: Table
    key: Mapping[str, Any]


Change = Put | Patch | Drop
