"""Sentences about a version that every target shows in the same words. Pure."""

from __future__ import annotations

from services.mirror.targets.base import Approval, Wanted


def ended(wanted: Wanted) -> str:
    """Return that a version may not be used any more, and why; "" for others."""
    if not (wanted.withdrawn or wanted.retired or wanted.stage == "Rejected"):
        return ""
    what = "withdrawn" if wanted.withdrawn else "retired" if wanted.retired else "rejected"
    return f"{what}: {'; '.join(wanted.reasons)}"


def traffic(wanted: Wanted) -> str:
    """Return the parts of the requests that the version gets."""
    return ", ".join(f"{one.environment} {one.percent} % {one.role}" for one in wanted.shares)


def approved(one: Approval) -> str:
    """Return where, when, in which review and by whom the version was approved."""
    names = ", ".join(one.approvers) or "no one"
    return f"{one.environment} {one.at:%Y-%m-%dT%H:%MZ} review {one.review_id} by {names}".strip()
