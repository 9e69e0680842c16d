"""`regista promote`."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.options import ENVIRONMENT, OPTIONAL_REASON
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.client.sync_client import Client

PAUSE = 0.3


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
@click.option("--wait", is_flag=True, help="Wait until it is granted (exit code 0) or denied (3).")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait.")
def promote(
    session: Session, reference: str, environment: str, reason: str, serve: bool, wait: bool, timeout: float
) -> None:
    """Request the promotion of a validated version. Reviews may follow: `regista reviews`.

    A grant switches no requests: `regista rollout switch` does, or --serve for the first version.
    """
    with session.client() as client:
        got = client.promote(reference, environment, reason, serve=serve)
        if wait:
            with session.waiting(f"waiting for the decision on {reference}"):
                got = decision(client, got["promotion_id"], timeout)
    outcome = "was granted" if wait else "was requested"
    then = (
        "the grant gives it all requests"
        if serve
        else f"a grant switches no requests: regista rollout switch {reference} -e {environment}"
    )
    conditions = "".join(f"\ncondition: {one}" for one in got.get("conditions") or ())
    session.one(
        got, f"promotion {got['promotion_id']} of {reference} to {environment} {outcome}\n{then}{conditions}"
    )


def decision(client: Client, promotion_id: str, seconds: float) -> dict[str, Any]:
    """Return the promotion once it is granted. Raises RuleBroken with the reasons if not, and TimedOut."""
    from regista.errors import NotFound, RuleBroken, TimedOut  # noqa: PLC0415

    deadline, found = time.monotonic() + seconds, {"state": "open"}
    while time.monotonic() < deadline:
        with contextlib.suppress(NotFound):
            found = client.promotion(promotion_id)
        if found["state"] == "granted":
            return found
        if found["state"] != "open":
            raise RuleBroken(f"promotion_{found['state']}", "; ".join(found.get("reasons", ())), facts=found)
        time.sleep(PAUSE)
    raise TimedOut(
        "not_decided_yet",
        f"promotion {promotion_id} is not decided after {seconds:.0f} s",
        advice="`regista reviews` shows what it waits for.",
    )
