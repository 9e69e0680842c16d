"""How approvers must have signed in, when the policy requires it, and how they had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.deciding.decider import RuleBroken
from shared.deciding.durations import parse_duration


@dataclass(frozen=True, slots=True)
class SignInAsked:
    """A sign-in at a trusted issuer, with a token that states how the approver authenticated.

    `max_age`: at most so long ago (15m, 8h). `acr`: its level is one of these. `amr`: one of these methods
    was used. Without any of them every sign-in counts.
    """

    max_age: str = ""
    acr: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the token of an approver stated. `issuer` is the key of the issuer."""

    issuer: str
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()


def in_words(asked: SignInAsked) -> str:
    """Return what is asked, to stand after "a sign-in"."""
    parts = (
        f"of the last {asked.max_age}" if asked.max_age else "",
        f"with the level {' or '.join(asked.acr)}" if asked.acr else "",
        f"with {' or '.join(asked.amr)}" if asked.amr else "",
    )
    return " ".join(part for part in parts if part) or "at a trusted issuer"


def check_sign_in(asked: SignInAsked | None, used: Authentication | None, now: datetime) -> None:
    """Raise RuleBroken unless the approver signed in as the policy requires."""
    if asked is None:
        return
    facts = {"max_age": asked.max_age, "acr": asked.acr, "amr": asked.amr}
    if used is None:
        raise RuleBroken(
            "sign_in_required",
            f"the policy requires a sign-in {in_words(asked)}; sign in, an API key is not enough",
            **facts,
        )
    if asked.max_age and not _is_fresh(used.auth_time, asked.max_age, now):
        at = used.auth_time.isoformat() if used.auth_time else "an unknown time"
        raise RuleBroken(
            "sign_in_too_old",
            f"you authenticated at {at}, and the policy requires a sign-in {in_words(asked)}; sign in again",
            **facts,
        )
    if (asked.acr and used.acr not in asked.acr) or (asked.amr and not set(asked.amr) & set(used.amr)):
        raise RuleBroken(
            "sign_in_too_weak",
            f"the policy requires a sign-in {in_words(asked)}; sign in again with a second factor",
            **facts,
        )


def _is_fresh(auth_time: datetime | None, max_age: str, now: datetime) -> bool:
    return auth_time is not None and now - auth_time <= timedelta(seconds=parse_duration(max_age))
