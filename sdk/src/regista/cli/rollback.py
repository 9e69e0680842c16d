"""`regista rollback`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.rollout import show_rollout
from regista.cli.terminal.options import ENVIRONMENT, FROM_NUMBER, IF_REVISION, REASON
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command


@command(
    examples='regista rollback churn --reason "latency doubled" --dry-run\n'
    'regista rollback churn --from 3 --reason "latency doubled"'
)
@click.argument("model")
@ENVIRONMENT
@REASON
@click.option("--to", "number", type=int, help="A version that was champion; default: the one before.")
@click.option(
    "--even-if-incompatible",
    is_flag=True,
    help="Also to a version whose schema does not serve today's callers.",
)
@click.option("--dry-run", is_flag=True, help="Show what would serve, and change nothing.")
@FROM_NUMBER
@IF_REVISION
def rollback(
    session: Session,
    model: str,
    environment: str,
    reason: str,
    number: int | None,
    even_if_incompatible: bool,
    dry_run: bool,
    from_number: int | None,
    expected: int | None,
) -> None:
    """Roll back in one step.

    While several versions serve, the champion gets all requests. When one serves alone, the version that
    served before it does. The rollback is shown first, and done only if the rollout is still as shown.
    """
    choice: dict[str, Any] = {
        "to_number": number,
        "even_if_incompatible": even_if_incompatible,
        "from_number": from_number,
    }
    with session.client() as client:
        plan = client.rollback(model, reason, environment, expected=expected, dry_run=True, **choice)
        if session.for_people or dry_run:
            _show(session, plan, dry_run=dry_run)
        if dry_run:
            return
        seen = plan.get("revision") if expected is None else expected
        client.rollback(model, reason, environment, expected=seen, **choice)
        show_rollout(session, client.rollout(model, environment), "")


def _show(session: Session, plan: Mapping[str, Any], *, dry_run: bool) -> None:
    if session.json:
        session.out(plan)
        return
    now = ", ".join(f"{e['number']} ({e['role']}, {e['percent']:g} %)" for e in plan.get("previous") or ())
    will = "would get" if dry_run else "gets"
    say(f"now: {now or 'no version serves'}", err=True)
    say(f"the rollback: {plan.get('champion')} {will} all requests", err=True)
    stay = {e["number"] for e in plan.get("entries") or ()}
    for left in sorted({e["number"] for e in plan.get("previous") or ()} - stay):
        say(f"  {left} leaves: promote it again before a switch to it", err=True)
    for skipped in plan.get("skipped") or ():
        say(f"  not {skipped['number']}: {skipped['why']}", err=True)
    if plan.get("warning"):
        say(f"  warning: {plan.get('champion')} {plan['warning']}", err=True)
    if dry_run:
        show_rollout(session, plan, "")
