"""Reports of `regista audit …`: decisions, what served, who did what, who held which role, which policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from regista.cli.access_scopes import ROLE
from regista.cli.terminal.moments import AT, SINCE, UNTIL
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.people import (
    Shown,
    actors,
    check_known,
    named,
    naming,
    people_in,
    warn_of_faults,
    when,
    who,
)
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.stored_names import explain_stored_names
from regista.cli.timeline import why

LIMIT = click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
MODEL = click.option("--model", metavar="NAME", help="Only this model.")
Item = Mapping[str, Any]


def add_to(group: click.Group) -> None:
    """Add the reports to the group `audit`."""
    for report in (promotions, denials, overrides, serving, person, rights, issuers, policy):
        group.add_command(report)


@command(
    examples="regista audit promotions --since 2026-03-01 --until 2026-03-31\n"
    "regista audit promotions --model fraud.scoring -o csv"
)
@SINCE
@UNTIL
@MODEL
@LIMIT
def promotions(session: Session, since: str, until: str, model: str, limit: int) -> None:
    """List the promotions of a period over all models: who requested and approved, under which policy.

    It has the conditions of the approvals, too. The newest comes first.
    """
    with session.client() as client:
        found = client.promotions(since, until, model, limit)
        shown = naming(session, client, _deciders(found))
    columns = [
        *_version_columns("promoted"),
        ("requested by", lambda d: who(_requested(d), shown)),
        ("approved by", lambda d: _approvers(d, shown)),
        ("policy", _policy_of),
        ("conditions", _conditions),
    ]
    session.items(found, columns, "no version was promoted then", limit)
    _warn(found)


@command(examples="regista audit denials --since 2026-03-01\nregista audit denials --json | jq '.[].reasons'")
@SINCE
@UNTIL
@MODEL
@LIMIT
def denials(session: Session, since: str, until: str, model: str, limit: int) -> None:
    """List the promotions that were denied or refused in a period, and why. The newest comes first."""
    with session.client() as client:
        found = client.denials(since, until, model, limit)
        shown = naming(session, client, _deciders(found))
    columns = [
        *_version_columns("denied"),
        ("requested by", lambda d: who(_requested(d), shown)),
        ("why", lambda d: _reasons(d, shown)),
    ]
    session.items(found, columns, "no promotion was denied then", limit)
    _warn(found)


@command(examples="regista audit overrides --since 2026-01-01 -o csv > overrides.csv")
@SINCE
@UNTIL
@MODEL
@LIMIT
def overrides(session: Session, since: str, until: str, model: str, limit: int) -> None:
    """List the break-glass overrides of a period: who, why, what was bypassed, and the after-review.

    The newest comes first.
    """
    with session.client() as client:
        found = client.overrides(since, until, model, limit)
        shown = naming(session, client, (*_deciders(found), *_reviewers(found)))
    columns = [
        *_version_columns("used"),
        ("by", lambda d: who({"actor": d["by"]}, shown)),
        ("why", lambda d: _reasons(d, shown)),
        ("bypassed", "bypassed"),
        ("after-review", lambda d: _after_review(d, shown)),
    ]
    session.items(found, columns, "no override was used then", limit)
    _warn(found)


@command(examples="regista audit serving --at 2026-03-15\nregista audit serving -e production -o csv")
@AT
@click.option("--environment", "-e", metavar="NAME", help="Only this environment.")
@LIMIT
def serving(session: Session, moment: str, environment: str, limit: int) -> None:
    """List what served at a time in all models and environments, and who approved it."""
    with session.client() as client:
        found = client.serving_at(moment, environment, limit)
        rows = [{**one, **entry} for one in found for entry in one["entries"]]
        shown = naming(session, client, _deciders(rows))
    if session.json:
        session.out(found)
        return
    columns = [
        ("model", "model"),
        ("environment", "environment"),
        ("number", "number"),
        ("version", "semver"),
        ("percent", "percent"),
        ("role", "role"),
        ("since", lambda r: to_the_second(r["since"])),
        ("approved by", lambda r: _approvers(r, shown)),
    ]
    session.items(rows, columns, f"no version served at {moment or 'this time'}", limit)
    warn_of_faults(one["changed_by"]["event"] for one in found)


@command(
    examples="regista audit person u-7k2m --since 2026-03-01\nregista audit person 'Grace Hopper' -o csv"
)
@click.argument("subject", metavar="PERSON")
@SINCE
@UNTIL
@LIMIT
def person(session: Session, subject: str, since: str, until: str, limit: int) -> None:
    """List everything that a person did, or others on their behalf. The newest comes first.

    PERSON is an identity, or a name that one identity has.
    """
    with session.client() as client:
        identity = client.subject_of(subject)
        found = client.acts(identity, since, until, limit)
        if not found:
            check_known(client, identity)
        shown = naming(session, client, (one for event in found for one in actors(event)))
    columns = [
        ("when", when),
        ("what", "type"),
        ("model", "model"),
        ("version", "number"),
        ("environment", "environment"),
        ("who", lambda e: who(e, shown)),
        ("why", why),
    ]
    session.items(found, columns, f"{subject} did nothing then, as far as you may read", limit)
    explain_stored_names(session, [{"type": event.get("type")} for event in found])
    warn_of_faults(found)


@command(
    examples="regista audit rights --at 2026-03-15\nregista audit rights --role approver --namespace fraud"
)
@AT
@click.option("--role", type=ROLE, help="Only identities with this role.")
@click.option("--namespace", metavar="NAME", help="Only roles that apply in this namespace.")
@LIMIT
def rights(session: Session, moment: str, role: str, namespace: str, limit: int) -> None:
    """List who held which role at a time, since when, and who granted it."""
    with session.client() as client:
        found = client.rights_at(moment, role, namespace, limit)
        rows = [{**identity, **given} for identity in found for given in identity["roles"]]
        shown = naming(session, client, _granting(rows))
    if session.json:
        session.out(found)
        return
    columns = [
        ("who", lambda r: shown(r["subject"])),
        ("kind", "kind"),
        ("role", "role"),
        ("namespace", "namespace"),
        ("since", lambda r: to_the_second(r["granted"]["at"])),
        ("granted by", lambda r: who({"actor": r["granted"]["by"]}, shown)),
        ("live keys", lambda r: len(r["keys"])),
        ("remarks", _remarks),
    ]
    session.items(rows, columns, "no identity held such a role then", limit)


def _remarks(row: Any) -> str:
    """Return since when an identity is disabled, and what counts as the same person."""
    disabled = [f"disabled {to_the_second(row['disabled']['at'])}"] if row.get("disabled") else []
    return ", ".join([*disabled, *(f"linked with {link['other']}" for link in row.get("links") or ())])


@command(examples="regista audit issuers --at 2026-03-15\nregista audit issuers --json | jq '.[].groups'")
@AT
def issuers(session: Session, moment: str) -> None:
    """List which issuers were trusted at a time, and which roles their groups had."""
    with session.client() as client:
        found = client.issuers_at(moment)
        nothing: list[Any] = [{}]
        rows = [{**one, **group} for one in found for group in one["groups"] or nothing]
        shown = naming(session, client, (s for r in rows for s in actors({"actor": _last(r)["by"]})))
    if session.json:
        session.out(found)
        return
    columns = [
        ("issuer", "issuer"),
        ("trusted", lambda r: "no" if r["ended"] else "yes"),
        ("group", "group"),
        ("role", "role"),
        ("namespace", "namespace"),
        ("since", lambda r: to_the_second(_last(r)["at"])),
        ("by", lambda r: who({"actor": _last(r)["by"]}, shown)),
        ("why", lambda r: _last(r)["reason"]),
    ]
    session.items(rows, columns, "no issuer was trusted until then")


def _last(row: Any) -> Item:
    """Return the decision that the row shows: of its group, else of the issuer."""
    decided: Item = row.get("mapped") or row["ended"] or row["trusted"]
    return decided


@command(
    examples="regista audit policy --at 2026-03-15\nregista audit policy default --at 2026-03-15 -o yaml\n"
    "regista audit policy --model fraud.scoring"
)
@click.argument("name", required=False)
@AT
@click.option("--model", metavar="NAME", help="The policy behind this model's newest promotion then.")
def policy(session: Session, name: str, moment: str, model: str) -> None:
    """Show which policy text was in force at a time, of one name or of all."""
    with session.client() as client:
        found = client.policies_at(moment, name, model)
        shown = naming(session, client, (one for p in found for one in actors({"actor": p["published_by"]})))
    columns = [
        ("name", "name"),
        ("revision", "revision"),
        ("published", lambda p: to_the_second(p["published_at"])),
        ("by", lambda p: who({"actor": p["published_by"]}, shown)),
        ("why", "reason"),
        ("policy", "policy"),
    ]
    session.items(found, columns, "no policy was in force then")
    warn_of_faults(p["event"] for p in found)


def _version_columns(happened: str) -> list[tuple[str, Any]]:
    return [
        (happened, lambda d: to_the_second(d["at"])),
        ("model", "model"),
        ("version", "number"),
        ("environment", "environment"),
    ]


def _reasons(item: Item, shown: Shown) -> list[str]:
    return [named(str(reason), shown) for reason in item.get("reasons") or ()]


def _requested(item: Item) -> Item:
    return {"actor": ((item.get("promotion") or {}).get("requested") or {}).get("by")}


def _approvers(item: Item, shown: Shown) -> str:
    promotion = item.get("promotion") or {}
    names = ", ".join(shown(one.get("subject")) for one in promotion.get("approvers") or ())
    return f"{names} (override)".strip() if promotion.get("override") else names


def _conditions(item: Item) -> str:
    approvers = (item.get("promotion") or {}).get("approvers") or ()
    return "; ".join(condition for one in approvers for condition in one.get("conditions") or ())


def _reviewers(items: Iterable[Item]) -> Iterator[Any]:
    for item in items:
        yield from actors({"actor": (item.get("after_review") or {}).get("by")})


def _after_review(item: Item, shown: Shown) -> str:
    made = item.get("after_review")
    if not made:
        return "missing"
    verdict = "justified" if made["justified"] else "unjustified"
    comment = f": {made['comment']}" if made.get("comment") else ""
    return f"{verdict}, {who({'actor': made['by']}, shown)}{comment}"


def _policy_of(item: Item) -> str:
    policy_ = (item.get("promotion") or {}).get("policy") or {}
    return f"{policy_['name']} {policy_.get('revision', '')}".strip() if policy_.get("name") else ""


def _deciders(items: Iterable[Item]) -> Iterator[Any]:
    for item in items:
        yield from actors({"actor": item.get("by")})
        yield from actors(_requested(item))
        for approval in (item.get("promotion") or {}).get("approvers") or ():
            yield approval.get("subject")
        for reason in item.get("reasons") or ():
            yield from people_in(str(reason))


def _granting(rows: Iterable[Item]) -> Iterator[Any]:
    for row in rows:
        yield row["subject"]
        yield from actors({"actor": row["granted"]["by"]})


def _warn(found: Iterable[Item]) -> None:
    warn_of_faults(item["event"] for item in found)
