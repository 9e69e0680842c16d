"""`regista reinstate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.terminal.options import PLAN_OPTIONS, REASON
from regista.cli.terminal.session import Session, command
from regista.cli.withdraw import reviewed


@command(
    examples='regista reinstate churn@3 --reason "the wrong data set was named"\n'
    'regista reinstate --withdrawal 0198… --reason "the wrong data set was named"'
)
@click.argument("reference", metavar="[MODEL@VERSION]", required=False)
@click.option(
    "--withdrawal",
    "withdrawal_id",
    metavar="ID",
    help="Every version of one `regista withdraw --trained-on`; its output names the id.",
)
@PLAN_OPTIONS
@REASON
def reinstate(
    session: Session,
    reference: str | None,
    withdrawal_id: str | None,
    plan: str | None,
    dry_run: bool,
    reason: str,
) -> None:
    """Undo a withdrawal that was a mistake, or all withdrawals of one step.

    Only a person may who neither withdrew the version nor proposed that.
    """
    if (reference is None) == (withdrawal_id is None):
        raise click.UsageError("name a version, or a step with --withdrawal")
    with session.client() as client:
        if withdrawal_id is not None:

            def step(**more: Any) -> Mapping[str, Any]:
                return client.reinstate_withdrawal(str(withdrawal_id), reason, **more)

            again = f"regista reinstate --withdrawal {withdrawal_id}"
            reviewed(session, step, plan, dry_run, again, reason)
            return
        if plan or dry_run:
            raise click.UsageError("--plan and --dry-run belong to --withdrawal")
        got = client.reinstate(str(reference), reason)
    session.one(got, f"reinstated {reference}: it is {got.get('stage')}")
