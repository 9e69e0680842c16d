"""`regista rollout …` and `regista rollback`."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.promotion import ENVIRONMENT, REASON
from regista.cli.session import Session, command, pairs

COLUMNS = [("number", "number"), ("version", "semver"), ("percent", "percent"), ("role", "role")]
ROLES = ("champion", "challenger", "shadow", "standby")


@click.group()
def rollout() -> None:
    """Who serves in an environment: show, split, switch, route."""


@command(group=rollout, examples="regista rollout show churn -e production")
@click.argument("model")
@ENVIRONMENT
def show(session: Session, model: str, environment: str) -> None:
    """Which versions serve, with which share and role."""
    with session.client() as client:
        found = client.rollout(model, environment)
    _shown(session, found, f"nothing serves {model} in {environment}")


@command(
    group=rollout,
    examples="regista rollout split churn 3=90 4=10\nregista rollout split churn 3=100 5=0 --role 5=shadow",
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
@click.option("--reason", default="", help="Stands in the audit trail.")
def split(
    session: Session,
    model: str,
    shares: tuple[str, ...],
    roles: tuple[str, ...],
    environment: str,
    reason: str,
) -> None:
    """Splits the traffic between versions; percents sum to 100."""
    entries = entries_of(pairs(shares, "share"), pairs(roles, "role"))
    with session.client() as client:
        client.change_rollout(model, entries, environment, reason)
        _shown(session, client.rollout(model, environment), "")


@command(
    group=rollout,
    examples='regista rollout switch churn@4 --reason "ten days as challenger without a regression"',
)
@click.argument("reference", metavar="MODEL@VERSION")
@ENVIRONMENT
@click.option("--reason", default="", help="Stands in the audit trail.")
def switch(session: Session, reference: str, environment: str, reason: str) -> None:
    """Gives all traffic to one version, at once."""
    with session.client() as client:
        version = client.version(reference)
        client.change_rollout(
            version["model"],
            [{"number": version["number"], "percent": 100, "role": "champion"}],
            environment,
            reason,
        )
        _shown(session, client.rollout(version["model"], environment), "")


@command(group=rollout, examples="regista rollout route churn --key user-4711")
@click.argument("model")
@click.option("--key", default="", help="The same key (a user, say) is always sent to the same version.")
@ENVIRONMENT
def route(session: Session, model: str, key: str, environment: str) -> None:
    """Which version serves a request."""
    with session.client() as client:
        got = client.route(model, environment, key)
    session.one(got, f"{model} {got['semver']} (number {got['number']}, {got['role']})")


@command(examples='regista rollback churn --reason "latency doubled"')
@click.argument("model")
@ENVIRONMENT
@REASON
@click.option("--to", "number", type=int, help="A version that served; default: the one before.")
@click.option(
    "--even-if-incompatible",
    is_flag=True,
    help="Also to a version whose signature does not serve today's callers.",
)
def rollback(
    session: Session,
    model: str,
    environment: str,
    reason: str,
    number: int | None,
    even_if_incompatible: bool,
) -> None:
    """Back to the version that served before, at once."""
    with session.client() as client:
        client.rollback(
            model, reason, environment, to_number=number, even_if_incompatible=even_if_incompatible
        )
        _shown(session, client.rollout(model, environment), "")


def entries_of(shares: dict[str, str], roles: dict[str, str]) -> list[dict[str, Any]]:
    """Rollout entries from `3=90` and `4=shadow`. Raises click.UsageError."""
    try:
        percents = {int(number): int(percent) for number, percent in shares.items()}
        named = {int(number): role for number, role in roles.items()}
    except ValueError:
        raise click.UsageError("numbers and percents are whole numbers: 3=90 4=10") from None
    if sum(percents.values()) != 100:
        raise click.UsageError(f"the percents sum to {sum(percents.values())}, not to 100")
    if unknown := [role for role in named.values() if role not in ROLES]:
        raise click.UsageError(f"{unknown[0]!r} is no role: {', '.join(ROLES)}")
    if stray := named.keys() - percents.keys():
        raise click.UsageError(f"--role names version {min(stray)}, which has no share: add {min(stray)}=0")
    champion = next((n for n, role in named.items() if role == "champion"), 0) or max(
        (n for n in percents if n not in named), key=lambda n: percents[n], default=0
    )
    return [
        {"number": n, "percent": p, "role": named.get(n, "champion" if n == champion else "challenger")}
        for n, p in percents.items()
    ]


def _shown(session: Session, found: dict[str, Any], nothing: str) -> None:
    if session.json:
        session.out(found)
    else:
        session.items(found.get("entries", []), COLUMNS, nothing)
