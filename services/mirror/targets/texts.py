"""What several targets show of a version and of a model in the same words. Pure."""

from __future__ import annotations

from services.mirror.targets.base import Approval, Wanted

MODEL_ID = "regista.model_id"
"""The tag by which a model is found again."""


def model_tags(wanted: Wanted) -> dict[str, str]:
    """Return the tags of a model."""
    return {MODEL_ID: wanted.model_id, "regista.model": wanted.model}


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


def approvals(wanted: Wanted) -> str:
    """Return the approvals; comments come last, so that a long one costs no name."""
    comments = [f"{one.review_id}: {one.comment}" for one in wanted.approvals if one.comment]
    return "; ".join([*map(approved, wanted.approvals), *comments])


def cut(value: str, most: int) -> str:
    """Return a text of at most so many characters; the end of a longer one becomes "…"."""
    return value if len(value) <= most else value[: most - 1] + "…"
