"""A refused registration as an answer: the refusal is in the log, and the caller gets every reason."""

from __future__ import annotations

from shared.deciding.submission import Outcome
from shared.http.problems import Problem


def raise_refusal(outcome: Outcome) -> None:
    """Raise Problem 422 when the outcome is a refusal."""
    for recorded in outcome.events:
        if recorded.type == "RegistrationRefused":
            event = recorded.event
            named = "; ".join(f"{p.field}: {p.problem}" for p in event.problems)
            raise Problem(
                422,
                "registration_refused",
                f"Correct these fields and register again: {named}",
                problems=event.problems,
                proof=event.proof,
                model=event.model,
                number=event.number,
                event_id=recorded.event_id,
            )
