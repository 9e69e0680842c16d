"""`regista dlq …`: dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regista.calls.dead_letters import CONSUMERS
from regista.cli.terminal.failure import print_error
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.client.sync_client import Client


@click.group()
def dlq() -> None:
    """List, show and replay dead letters: messages that a service refused."""


@command(
    "list", group=dlq, examples="regista dlq list\nregista dlq list registry --topic regista.training.v1"
)
@click.argument("service", type=click.Choice(CONSUMERS), required=False)
@click.option("--topic", help="Only dead letters of this topic.")
@click.option("--replayed/--waiting", default=None, help="Only replayed ones, or only the others.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def letters(
    session: Session, service: str | None, topic: str | None, replayed: bool | None, limit: int
) -> None:
    """List the dead letters of one service or of all, newest first."""
    with session.client() as client:
        read = (
            client.dead_letters(service, limit, topic, replayed=replayed)
            if service
            else _of_all_services(session, client, limit, topic, replayed)
        )
    found = {
        letter["id"]: letter for letter in read if not replayed or letter.get("replayed")
    }  # the service returns the replayed ones in addition to the others
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


def _of_all_services(
    session: Session, client: Client, limit: int, topic: str | None, replayed: bool | None
) -> list[dict[str, Any]]:
    """Return the dead letters of all services; print an error for each unreachable one.

    Raises Unavailable when none is reachable.
    """
    from regista.errors import Unavailable  # noqa: PLC0415

    read, unreachable = [], list[Unavailable]()
    for name in CONSUMERS:
        try:
            read += client.dead_letters(name, limit, topic, replayed=replayed)
        except Unavailable as e:
            e.detail = f"the dead letters of {name} are not listed: {e.detail}"
            unreachable.append(e)
    if len(unreachable) == len(CONSUMERS):
        raise unreachable[0]
    for one in unreachable:
        print_error(one, as_json=session.json)
    return read


@command("show", group=dlq, examples="regista dlq show regista.training.v1.dlq~0~17")
@click.argument("letter_id", metavar="ID")
def letter(session: Session, letter_id: str) -> None:
    """Show one dead letter: reason, headers, value."""
    with session.client() as client:
        session.one(client.dead_letter(letter_id))


@command(group=dlq, examples="regista dlq replay regista.training.v1.dlq~0~17")
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
def replay(session: Session, letter_ids: tuple[str, ...]) -> None:
    """Send dead letters again to the topic they came from. A message has no second effect."""
    with session.client() as client:
        got = [client.replay(letter_id) for letter_id in letter_ids]
    session.items(got, [("id", "id"), ("back on", "topic")], "")
