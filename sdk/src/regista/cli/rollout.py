"""`regista rollout …`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from regista.cli.terminal.options import ENVIRONMENT, FROM_NUMBER, IF_REVISION, OPTIONAL_REASON, REASON
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import pairs

COLUMNS = [("number", "number"), ("version", "semver"), ("percent", "percent"), ("role", "role")]
ROLES = ("champion", "challenger", "shadow", "standby")


@click.group()
def rollout() -> None:
    """Show, split, switch and stop the traffic of versions in an environment."""


@command(group=rollout, examples="regista rollout show churn -e production")
@click.argument("model")
@ENVIRONMENT
def show(session: Session, model: str, environment: str) -> None:
    """Show which versions serve, with their shares, roles, and the revision of the rollout."""
    with session.client() as client:
        found = client.rollout(model, environment)
    show_rollout(session, found, f"no version of {model} serves in {environment}")


@command(
    group=rollout,
    examples="regista rollout split churn 3=90 4=10\n"
    "regista rollout split churn 3=100 5=0 --role 5=shadow\n"
    "regista rollout split churn 3=50 4=50 --if-revision 5",
)
@click.argument("model")
@click.argument("shares", nargs=-1, required=True, metavar="NUMBER=PERCENT...")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="NUMBER=ROLE",
    help="champion, challenger, shadow or standby. Default: the largest share is champion.",
)
@ENVIRONMENT
@OPTIONAL_REASON
@FROM_NUMBER
@IF_REVISION
def split(
    session: Session,
    model: str,
    shares: tuple[str, ...],
    roles: tuple[str, ...],
    environment: str,
    reason: str,
    from_number: int | None,
    expected: int | None,
) -> None:
    """Split the traffic between versions; the percents sum to 100."""
    entries = entries_of(
        pairs(shares, "share", "NUMBER=PERCENT, for example 3=90 4=10"),
        pairs(roles, "role", "NUMBER=ROLE, for example 4=shadow"),
    )
    with session.client() as client:
        client.change_rollout(model, entries, environment, reason, expected=expected, from_number=from_number)
        show_rollout(session, client.rollout(model, environment), "")


@command(
    group=rollout,
    examples='regista rollout switch churn@4 --reason "ten days as challenger without a regression"',
)
@click.argument("reference", metavar="MODEL@VERSION")
@ENVIRONMENT
@OPTIONAL_REASON
@FROM_NUMBER
@IF_REVISION
def switch(
    session: Session,
    reference: str,
    environment: str,
    reason: str,
    from_number: int | None,
    expected: int | None,
) -> None:
    """Give all traffic to one version, in one step."""
    with session.client() as client:
        version = client.version(reference)
        client.change_rollout(
            version["model"],
            [{"number": version["number"], "percent": 100, "role": "champion"}],
            environment,
            reason,
            expected=expected,
            from_number=from_number,
        )
        show_rollout(session, client.rollout(version["model"], environment), "")


@command(group=rollout, examples='regista rollout stop churn -e production --reason "version 3 is poisoned"')
@click.argument("model")
@ENVIRONMENT
@REASON
@FROM_NUMBER
@IF_REVISION
def stop(
    session: Session,
    model: str,
    environment: str,
    reason: str,
    from_number: int | None,
    expected: int | None,
) -> None:
    """Take every version out of service. Clients then get the error `rollout_stopped`."""
    with session.client() as client:
        client.stop_rollout(model, reason, environment, expected=expected, from_number=from_number)
        show_rollout(
            session, client.rollout(model, environment), f"no version of {model} serves in {environment} now"
        )


@command(group=rollout, examples="regista rollout route churn --key user-4711")
@click.argument("model")
@click.option(
    "--key", default="", help="The same key, for example a user, is always routed to the same version."
)
@ENVIRONMENT
def route(session: Session, model: str, key: str, environment: str) -> None:
    """Show which version serves a request."""
    with session.client() as client:
        got = client.route(model, environment, key)
    session.one(got, f"{model} {got['semver']} (number {got['number']}, {got['role']})")


def entries_of(shares: dict[str, str], roles: dict[str, str]) -> list[dict[str, Any]]:
    """Return rollout entries from the shares (`3=90`) and the roles (`4=shadow`). Raises click.UsageError."""
    try:
        percents = {int(number): int(percent) for number, percent in shares.items()}
        named = {int(number): role for number, role in roles.items()}
    except ValueError:
        raise click.UsageError("numbers and percents are whole numbers: 3=90 4=10") from None
    if sum(percents.values()) != 100:
        raise click.UsageError(f"the percents sum to {sum(percents.values())}, not to 100")
    if unknown := [role for role in named.values() if role not in ROLES]:
        raise click.UsageError(f"{unknown[0]!r} is not a role: {', '.join(ROLES)}")
    if stray := named.keys() - percents.keys():
        raise click.UsageError(f"--role names version {min(stray)}, which has no share: add {min(stray)}=0")
    champion = next((n for n, role in named.items() if role == "champion"), 0) or max(
        (n for n in percents if n not in named), key=lambda n: percents[n], default=0
    )
    return [
        {"number": n, "percent": p, "role": named.get(n, "champion" if n == champion else "challenger")}
        for n, p in percents.items()
    ]


def show_conditions(session: Session, entries: Sequence[Mapping[str, Any]]) -> None:
    """Print under which conditions versions were approved, and which serve by an unjustified override."""
    if not session.for_people:
        return
    for entry in entries:
        for condition in entry.get("conditions") or ():
            say(f"{entry['number']} was approved on condition: {condition}", fg="yellow")
        if entry.get("grant_withdrawn"):
            say(f"{entry['number']} gets no further traffic: its override was not justified", fg="yellow")


def show_rollout(session: Session, found: Mapping[str, Any], nothing: str) -> None:
    """Print a rollout with its revision."""
    if session.json:
        session.out(found)
        return
    entries = [{**entry, "model": found.get("model")} for entry in found.get("entries", [])]
    session.items(entries, COLUMNS, nothing)
    show_conditions(session, found.get("entries", []))
    if found.get("revision") and session.for_people:
        revision = found["revision"]
        say(f"revision {revision}: a change with --if-revision {revision} is of what is shown", err=True)
