"""Decide who may download verified bytes, and which part of a file. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)
WHY = {
    "Received": (
        "artifact_not_verified",
        "No version's claim to these bytes has been verified: wait, or read `versions` for what is wrong.",
    ),
    "Quarantined": (
        "artifact_quarantined",
        "The stored bytes are damaged: upload them again and register a version with them.",
    ),
    "Expired": (
        "artifact_expired",
        "No version refers to these bytes, and they will be deleted: upload and register them again.",
    ),
    "Deleted": (
        "artifact_deleted",
        "No version referred to these bytes, and they were deleted: upload and register them again.",
    ),
}


class Referring(Protocol):
    """A version that refers to the artifact, as a row of the read model."""

    @property
    def model(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def withdrawn(self) -> bool: ...
    @property
    def rejected(self) -> bool: ...
    @property
    def detail(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the bytes are not served, and what to do next."""

    code: str
    detail: str


def refusal(state: str, versions: Sequence[Referring]) -> Refusal | None:
    """Return None when the bytes are verified and available to one of the `versions` given."""
    if state != "Verified":
        return Refusal(*WHY[state])
    if any(v.status == "available" and not v.withdrawn and not v.rejected for v in versions):
        return None
    if withdrawn := [f"{v.model} {v.number}: {v.detail}" for v in versions if v.withdrawn]:
        return Refusal(
            "artifact_withdrawn",
            f"Every version that you may read was withdrawn: {'; '.join(withdrawn[:5])}. Load another one.",
        )
    if rejected := [f"{v.model} {v.number}" for v in versions if v.rejected]:
        return Refusal(
            "artifact_rejected",
            f"Rejected: {', '.join(rejected[:5])}. The bytes are kept but not served: load another version.",
        )
    return Refusal(
        "artifact_not_available",
        "The bytes are not available to any version that you may read: `versions` has the reasons.",
    )


def part_of(header: str, size: int) -> tuple[int, int] | None:
    """Return start and length of the requested range, or None when it starts behind the end.

    Any header but one plain range selects the whole file, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return 0, size
    start, end = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
    if start >= size:
        return None
    return (start, end - start + 1) if end >= start else (0, size)
