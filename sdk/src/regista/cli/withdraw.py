"""`regista withdraw`: of one version, or of all that were trained on a data set; `reinstate` undoes it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.options import PLAN_OPTIONS, REASON
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal

if TYPE_CHECKING:
    from regista.client.sync_client import Client

Step = Callable[..., Mapping[str, Any]]


@command(
    examples='regista withdraw churn@3 --reason "the labels were shifted"\n'
    'regista withdraw --trained-on bank-0312 --dry-run --reason "bank-0312 is poisoned"\n'
    'regista withdraw --trained-on bank-0312 --plan sha256:… --reason "bank-0312 is poisoned"'
)
@click.argument("reference", metavar="[MODEL@VERSION]", required=False)
@click.option("--trained-on", "dataset", metavar="DATA", help="Every version trained on it: name or digest.")
@PLAN_OPTIONS
@REASON
def withdraw(
    session: Session,
    reference: str | None,
    dataset: str | None,
    plan: str | None,
    dry_run: bool,
    reason: str,
) -> None:
    """Forbid loading a version, or all versions that were trained on a data set.

    Their traffic stays as it is: the output names the command that takes each out of service. Where a policy
    wants a second person, the first one only proposes the withdrawal. `regista reinstate` undoes a mistake.
    """
    if (reference is None) == (dataset is None):
        raise click.UsageError("name a version, or a data set with --trained-on")
    if dataset is not None:
        with session.client() as client:
            withdraw_trained(session, client, dataset, reason, plan, dry_run)
        return
    if plan or dry_run:
        raise click.UsageError("--plan and --dry-run belong to --trained-on")
    with session.client() as client:
        got = client.withdraw(str(reference), reason)
        serves = [_way_out(client, got, rollout, reason) for rollout in got.get("rollouts") or ()]
    done = f"withdrawn {reference}"
    if not got.get("withdrawn") and got.get("withdrawal_proposed"):
        done = f"proposed the withdrawal of {reference}; its policy wants a second person, who repeats this"
    session.one(got, "\n".join([done, *serves]))


def withdraw_trained(
    session: Session, client: Client, dataset: str, reason: str, plan: str | None, dry_run: bool
) -> None:
    """Show what would be withdrawn, have it confirmed, and withdraw it."""

    def step(**more: Any) -> Mapping[str, Any]:
        return client.withdraw_trained(dataset, reason, **more)

    again = f"regista withdraw --trained-on {dataset}"
    done = reviewed(session, step, plan, dry_run, again, reason)
    if done is None or not session.for_people:
        return
    for version in done["versions"]:
        for rollout in version["rollouts"] if version["outcome"] in {"withdrawn", "unchanged"} else ():
            way = _way_out(client, version, rollout, reason)
            say(f"{version['model']}@{version['number']}: {way}")
    outcomes = {version["outcome"] for version in done["versions"]}
    if "proposed" in outcomes:
        say("a second person repeats the command for what is proposed")
    if "withdrawn" in outcomes:
        say(f"a second person undoes a mistake: regista reinstate --withdrawal {done['withdrawal_id']}")


def reviewed(
    session: Session, step: Step, plan: str | None, dry_run: bool, again: str, reason: str
) -> Mapping[str, Any] | None:
    """Show the plan of a step and carry it out. Return its answer, None for a dry run.

    A person confirms the plan; a program names it. Raises click.UsageError where neither is possible.
    """
    if plan is None:
        planned = step(dry_run=True)
        if session.json and dry_run:
            session.out(planned)
            return None
        if session.for_people or dry_run:
            show_versions(session, planned, "would be")
        if dry_run:
            if session.for_people:
                say(f"to carry it out: {again} --plan {planned['plan']} --reason {shlex.quote(reason)}")
            return None
        if session.format or not on_a_terminal():
            raise click.UsageError(
                f"read the plan first (--dry-run), then name it: {again} --dry-run shows its --plan"
            )
        confirm("Do this?")
        plan = planned["plan"]
    done = step(plan=plan)
    if session.json:
        session.out(done)
    else:
        show_versions(session, done, "is")
    return done


def show_versions(session: Session, answer: Mapping[str, Any], verb: str) -> None:
    """Print the versions of a step: where they serve, and what becomes of them."""
    columns = [
        ("model", "model"),
        ("number", "number"),
        ("version", "semver"),
        ("stage", "stage"),
        ("serves", _serves),
        (verb, "outcome"),
        ("remarks", "detail"),
    ]
    session.items(answer["versions"], columns, "no version")


def _serves(version: Mapping[str, Any]) -> str:
    return ", ".join(f"{r['environment']} ({r['role']}, {r['percent']:g} %)" for r in version["rollouts"])


def _way_out(client: Client, version: Mapping[str, Any], rollout: Mapping[str, Any], reason: str) -> str:
    """Return the command that works: a rollback where it has a target, else the stop of the rollout."""
    from regista.errors import RegistaError, RuleBroken  # noqa: PLC0415 - the help needs no errors

    model, environment = version["model"], rollout["environment"]
    serves = f"it still serves in {environment} ({rollout['role']}, {rollout['percent']:g} %): "
    way = f"regista rollback {model} --environment {environment}"
    try:
        client.rollback(model, "what would a rollback do", environment, dry_run=True)
    except RuleBroken as refused:
        targets = refused.facts.get("targets") or ()
        way = f"{way} --to {targets[0]}" if targets else f"regista rollout stop {model} -e {environment}"
    except RegistaError:
        pass  # for example without the right to roll back: another person can
    return f"{serves}{way} --reason {shlex.quote(reason)}"
