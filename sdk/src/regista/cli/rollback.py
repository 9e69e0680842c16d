"""`regista rollback`."""

from __future__ import annotations

import click

from regista.cli.rollout import show_rollout
from regista.cli.terminal.options import ENVIRONMENT, IF_REVISION, REASON
from regista.cli.terminal.session import Session, command


@command(
    examples='regista rollback churn --reason "latency doubled"\n'
    'regista rollback churn --if-revision 5 --reason "latency doubled"'
)
@click.argument("model")
@ENVIRONMENT
@REASON
@click.option("--to", "number", type=int, help="A version that served; default: the one before.")
@click.option(
    "--even-if-incompatible",
    is_flag=True,
    help="Also to a version whose signature does not serve today's callers.",
)
@IF_REVISION
def rollback(
    session: Session,
    model: str,
    environment: str,
    reason: str,
    number: int | None,
    even_if_incompatible: bool,
    expected: int | None,
) -> None:
    """Roll back to the version that served before, in one step."""
    with session.client() as client:
        client.rollback(
            model,
            reason,
            environment,
            to_number=number,
            even_if_incompatible=even_if_incompatible,
            expected=expected,
        )
        show_rollout(session, client.rollout(model, environment), "")
