"""`regista cleanup …`, `regista hold`, `regista dlq …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regista.cli import say_error
from regista.cli.people import naming
from regista.cli.promotion import REASON
from regista.cli.session import Session, command, to_the_second
from regista.cli.versions import read_json
from regista.operating import CONSUMERS

if TYPE_CHECKING:
    from regista.client.sync_client import Client

VERDICTS = ("marked", "spared", "proposed", "retired", "refused")
COLUMNS = [
    ("model", "model"),
    ("number", "number"),
    ("version", "semver"),
    ("verdict", "verdict"),
    ("why", lambda v: "; ".join(str(r.get("detail", r)) for r in v.get("reasons") or ())),
    ("goes after", lambda v: to_the_second(v.get("delete_after"))),
]


@click.group()
def cleanup() -> None:
    """Plan, run and explain cleanups; retention of a model."""


@command(group=cleanup, examples="regista cleanup plan\nregista cleanup plan churn --policy shorter.json")
@click.argument("model", default="")
@click.option("--policy", type=click.File("rb"), help="JSON: simulate another retention policy.")
def plan(session: Session, model: str, policy: Any) -> None:
    """What a cleanup would do now with one model, or with all (who may do that everywhere), and why; nothing is marked."""
    given = read_json(policy.read(), "--policy") if policy else None
    with session.client() as client:
        _sweep(session, client.sweep(model, dry_run=True, policy=given))


@command(group=cleanup, examples="regista cleanup run\nregista cleanup run churn")
@click.argument("model", default="")
def run(session: Session, model: str) -> None:
    """Marks what may go, of one model or of all; it goes after the grace period, if the registry agrees."""
    with session.client() as client:
        got = client.sweep(model, dry_run=False)
    session.one(
        got,
        f"sweep {got['sweep_id']} was planned: `regista cleanup show {got['sweep_id']}` says what it found",
    )


@command("list", group=cleanup, examples="regista cleanup list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def list_(session: Session, limit: int) -> None:
    """Cleanups so far, newest first."""
    with session.client() as client:
        found = client.sweeps(limit)
        shown = naming(session, client, (sweep.get("actor") for sweep in found))
    columns = [
        ("sweep", "sweep_id"),
        ("when", lambda s: to_the_second(s.get("at"))),
        ("trigger", "trigger"),
        ("phase", "phase"),
        ("models", "models"),
        ("versions", "versions"),
        ("by", lambda s: shown(s.get("actor"))),
    ]
    session.items(found, columns, "no cleanup ran yet", limit)


@command(group=cleanup, examples="regista cleanup show 0198…\nregista cleanup show 0198… --verdict marked")
@click.argument("sweep_id", metavar="SWEEP")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only versions with this verdict.")
def show(session: Session, sweep_id: str, verdict: str | None) -> None:
    """One cleanup: each version kept or marked, and why."""
    with session.client() as client:
        found = client.sweep_plan(sweep_id, verdict or "")
        while token := found.get("next_page_token"):
            more = client.sweep_plan(sweep_id, verdict or "", token)
            found |= {"items": found["items"] + more["items"], "next_page_token": more.get("next_page_token")}
    _sweep(session, found)


@command(
    group=cleanup,
    examples="regista cleanup retention churn\nregista cleanup retention churn --set retention.json",
)
@click.argument("model")
@click.option(
    "--set",
    "file",
    type=click.File("rb"),
    help="JSON with the new policy: unused_seconds, keep_newest, grace_seconds, …",
)
def retention(session: Session, model: str, file: Any) -> None:
    """How long the versions of a model are kept, and where each stands."""
    with session.client() as client:
        if file:
            session.one(client.set_retention(model, read_json(file.read(), "--set")))
            return
        found = client.retention(model)
    if session.json:
        session.out(found)
        return
    session.one({name: "for ever" if value is None else value for name, value in found["policy"].items()})
    columns = [
        ("number", "number"),
        ("version", "semver"),
        ("stage", "stage"),
        ("uses", "uses"),
        ("last used", "last_used_at"),
        *COLUMNS[3:],
    ]
    session.items(found["versions"], columns, f"{model} has no versions")


@command(group=cleanup, examples="regista cleanup usage churn")
@click.argument("model")
def usage(session: Session, model: str) -> None:
    """How often the versions of a model were used, as far as use was reported."""
    with session.client() as client:
        found = client.usage(model)
    if session.json:
        session.out(found)
        return
    columns = [
        ("number", "number"),
        ("uses", "total"),
        ("last used", lambda v: to_the_second(v.get("last_used_at"))),
    ]
    session.items(found["versions"], columns, f"no use of {model} was reported")


def _sweep(session: Session, found: dict[str, Any]) -> None:
    if session.json:
        session.out(found)
        return
    counts = (
        ", ".join(f"{number} {verdict}" for verdict, number in sorted(found.get("verdicts", {}).items()))
        or "nothing decided yet"
    )
    click.echo(f"{found.get('versions', 0)} versions of {found.get('models', 0)} models: {counts}")
    session.items(found.get("items", []), COLUMNS, "no version to show")
    if found.get("truncated"):
        click.echo("Not all versions are shown; name a model to see all of its.", err=True)


@command(
    examples='regista hold churn@3 --reason "case 4711"\nregista hold churn@3 --release --reason "case closed"'
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--release", is_flag=True, help="Release it instead.")
@REASON
def hold(session: Session, reference: str, release: bool, reason: str) -> None:
    """Places a legal hold: no cleanup touches the version."""
    with session.client() as client:
        got = client.release_hold(reference, reason) if release else client.hold(reference, reason)
    session.one(got, f"{'released the hold on' if release else 'held'} {reference}")


@click.group()
def dlq() -> None:
    """Messages that a service could not take: list, show, replay."""


@command(
    "list", group=dlq, examples="regista dlq list\nregista dlq list registry --topic regista.training.v1"
)
@click.argument("service", type=click.Choice(CONSUMERS), required=False)
@click.option("--topic", help="Only those of this topic.")
@click.option("--replayed/--waiting", default=None, help="Only those replayed already, or not yet.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def letters(
    session: Session, service: str | None, topic: str | None, replayed: bool | None, limit: int
) -> None:
    """The dead letters of one service or all, newest first."""
    with session.client() as client:
        read = (
            client.dead_letters(service, limit, topic, replayed=replayed)
            if service
            else _letters_of_all(session, client, limit, topic, replayed)
        )
    found = {
        letter["id"]: letter for letter in read if not replayed or letter.get("replayed")
    }  # a service adds those replayed to the others
    columns = [
        ("id", "id"),
        ("when", lambda x: to_the_second(x.get("at"))),
        ("type", "type"),
        ("subject", "subject"),
        ("reason", "reason"),
        ("replayed", "replayed"),
    ]
    session.items(
        sorted(found.values(), key=lambda x: str(x.get("at", "")), reverse=True), columns, "no dead letters"
    )


def _letters_of_all(
    session: Session, client: Client, limit: int, topic: str | None, replayed: bool | None
) -> list[dict[str, Any]]:
    """A service that is away is named; the others' letters are listed nevertheless."""
    from regista.errors import Unavailable  # noqa: PLC0415

    read, away = [], list[Unavailable]()
    for name in CONSUMERS:
        try:
            read += client.dead_letters(name, limit, topic, replayed=replayed)
        except Unavailable as e:
            e.detail = f"the letters of {name} are not listed: {e.detail}"
            away.append(e)
    if len(away) == len(CONSUMERS):
        raise away[0]
    for one in away:
        say_error(one, as_json=session.json)
    return read


@command("show", group=dlq, examples="regista dlq show regista.training.v1.dlq~0~17")
@click.argument("letter_id", metavar="ID")
def letter(session: Session, letter_id: str) -> None:
    """One dead letter: reason, headers, value."""
    with session.client() as client:
        session.one(client.dead_letter(letter_id))


@command(group=dlq, examples="regista dlq replay regista.training.v1.dlq~0~17")
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
def replay(session: Session, letter_ids: tuple[str, ...]) -> None:
    """Sends dead letters again to the topic they came from; a message that was taken meanwhile is not taken twice."""
    with session.client() as client:
        got = [client.replay(letter_id) for letter_id in letter_ids]
    session.items(got, [("id", "id"), ("back on", "topic")], "")
