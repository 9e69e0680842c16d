"""`regista promote`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.options import ENVIRONMENT, OPTIONAL_REASON, TIMEOUT
from regista.cli.terminal.output import one_line, say
from regista.cli.terminal.people import with_names
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.client.sync_client import Client


@command(
    examples='regista promote churn@3 --reason "better on the March data"\n'
    "regista promote churn@1 --serve\n"
    "regista promote churn@3 --wait --timeout 3600"
)
@click.argument("reference", metavar="MODEL@VERSION")
@ENVIRONMENT
@OPTIONAL_REASON
@click.option(
    "--serve", is_flag=True, help="Give it all requests when it is granted, where no version serves."
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for the gates, then for the decision, until it is carried out (exit code 0) or refused (3).",
)
@TIMEOUT
def promote(
    session: Session, reference: str, environment: str, reason: str, serve: bool, wait: bool, timeout: float
) -> None:
    """Request the promotion of a validated version. Reviews may follow: `regista reviews`.

    A grant switches no requests: `regista rollout switch` does, or --serve for the first version. A wait ends
    with exit code 6 at its time limit.
    """
    got: Any
    asked: Any
    deadline = time.monotonic() + timeout
    with session.client() as client:
        if wait:
            with session.waiting(f"waiting for the gates of {reference}", timeout):
                asked = after_the_gates(client, reference, environment, reason, serve, timeout)
            for line in standing(asked, reference, environment, reason):
                say(with_names(session, line), err=True)
            left = max(0.0, deadline - time.monotonic())
            with session.waiting(f"waiting for the decision on {reference}", left):
                got = client.wait_for_promotion(asked["promotion_id"], left)
            lines = [f"promotion {got['promotion_id']} of {reference} to {environment} was carried out"]
        else:
            got = asked = client.promote(reference, environment, reason, serve=serve)
            lines = [with_names(session, line) for line in standing(asked, reference, environment, reason)]
    if serve and asked.get("state") != "promoted":
        lines.append("the grant gives it all requests")
    else:
        lines.append(f"a grant switches no requests: regista rollout switch {reference} -e {environment}")
    session.one(got, "\n".join([*lines, *(f"condition: {one}" for one in got.get("conditions") or ())]))


def standing(asked: Mapping[str, Any], reference: str, environment: str, reason: str) -> list[str]:
    """Return what a request for a promotion met: an earlier one that stands, or those it superseded."""
    promotion, name = asked["promotion_id"], f"{reference} to {environment}"
    if asked.get("state") == "promoted":
        return [f"{reference} is promoted to {environment} already, by promotion {promotion}"]
    if asked.get("new") is False:
        stated = f": {one_line(asked['reason'])}" if asked["reason"] else ", without a reason"
        found = (
            f"promotion {promotion} of {name} is open already, requested by {asked['requested_by']}{stated}"
        )
        unused = reason not in {"", asked["reason"]}
        return [found, *(["your reason is not recorded: comment on the review"] if unused else [])]
    superseded = ", ".join(asked.get("superseded") or ())
    then = [f"it supersedes {superseded}: approvals of that count no more"] if superseded else []
    return [f"promotion {promotion} of {name} was requested", *then]


def after_the_gates(
    client: Client, reference: str, environment: str, reason: str, serve: bool, seconds: float
) -> Mapping[str, Any]:
    """Request the promotion, if need be after its gates passed. Raises RuleBroken and TimedOut."""
    from regista.errors import RuleBroken  # noqa: PLC0415

    try:
        return client.promote(reference, environment, reason, serve=serve)
    except RuleBroken as early:
        if early.facts.get("next_step") not in {"wait", "verify"}:
            raise
    client.wait_for(reference, "validated", seconds)
    return client.promote(reference, environment, reason, serve=serve)
