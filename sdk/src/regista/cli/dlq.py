"""`regista dlq …`: dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regista.calls.dead_letters import CONSUMERS
from regista.cli.terminal.failure import print_error
from regista.cli.terminal.options import OPTIONAL_REASON
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.calls.dead_letters import OfServices

T = TypeVar("T")


@click.group()
def dlq() -> None:
    """List, show, replay and dismiss dead letters: messages that a service refused."""


SERVICE = click.argument("service", type=click.Choice(CONSUMERS), required=False)
TOPIC = click.option("--topic", help="Only dead letters of this topic.")


@command(
    "list",
    group=dlq,
    examples="regista dlq list\nregista dlq list registry --topic regista.training.v1\n"
    "regista dlq list --dismissed",
)
@SERVICE
@TOPIC
@click.option("--replayed/--waiting", default=None, help="Only replayed ones, or only the others.")
@click.option("--dismissed", is_flag=True, help="Only dismissed ones.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def letters(
    session: Session,
    service: str | None,
    topic: str | None,
    replayed: bool | None,
    dismissed: bool,
    limit: int,
) -> None:
    """List the open dead letters of one service or of all, newest first."""
    if replayed is not None and dismissed:
        raise click.UsageError(
            "a dead letter is replayed or dismissed: choose one of --replayed, --dismissed"
        )
    wanted = {"replayed": replayed, "dismissed": dismissed or None}
    with session.client() as client:
        if service:
            read = client.dead_letters(service, limit, topic, **wanted)
        else:
            read = _answered(session, "the dead letters", client.all_dead_letters(limit, topic, **wanted))
    found = {
        letter["id"]: letter
        for letter in read
        if (not replayed or letter.get("replayed")) and (not dismissed or letter.get("dismissed"))
    }  # the service returns the closed ones in addition to the others
    columns = [
        ("id", "id"),
        ("when", lambda x: to_the_second(x.get("at"))),
        ("type", "type"),
        ("about", "subject"),
        ("code", "code"),
        ("reason", "reason"),
        *([("dismissed", _closed)] if dismissed else [("replayed", "replayed")]),
    ]
    session.items(
        sorted(found.values(), key=lambda x: str(x.get("at", "")), reverse=True), columns, "no dead letters"
    )


def _closed(one: Mapping[str, Any]) -> str:
    at = to_the_second(one.get("closed_at"))
    return f"{at} by {one.get('closed_by') or '?'}: {one.get('closed_reason') or ''}"


def _answered(session: Session, what: str, answers: OfServices[T]) -> list[T]:
    """Return what the services answered, and print an error for each that did not."""
    for service, error in answers.unanswered.items():
        error.detail = f"{what} of {service} are not listed: {error.detail}"
        print_error(error, as_json=session.json)
    return answers.items


@command(group=dlq, examples="regista dlq groups\nregista dlq groups registry")
@SERVICE
@TOPIC
def groups(session: Session, service: str | None, topic: str | None) -> None:
    """Count the open dead letters by topic, consumer group, code and signer."""
    with session.client() as client:
        read = (
            client.dead_letter_groups(service, topic)
            if service
            else _answered(session, "the dead letters", client.all_dead_letter_groups(topic))
        )
    columns = [
        ("count", "count"),
        ("topic", "topic"),
        ("group", "group"),
        ("code", "code"),
        ("signer", "signer"),
        ("newest", lambda x: to_the_second(x.get("newest"))),
        ("example", "example"),
        ("reason", "reason"),
    ]
    session.items(sorted(read, key=lambda x: -int(x.get("count", 0))), columns, "no open dead letters")


@command("show", group=dlq, examples="regista dlq show regista.training.v1.dlq~0~17")
@click.argument("letter_id", metavar="ID")
def letter(session: Session, letter_id: str) -> None:
    """Show one dead letter: reason, headers, value."""
    with session.client() as client:
        session.one(client.dead_letter(letter_id))


@command(group=dlq, examples="regista dlq replay regista.training.v1.dlq~0~17")
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
@OPTIONAL_REASON
def replay(session: Session, letter_ids: tuple[str, ...], reason: str) -> None:
    """Send dead letters again to the topic they came from. A message has no second effect."""
    with session.client() as client:
        got = [client.replay(letter_id, reason) for letter_id in letter_ids]
    session.items(got, [("id", "id"), ("back on", "topic")], "")


@command(
    group=dlq, examples='regista dlq dismiss regista.training.v1.dlq~0~17 --reason "a test of the pipeline"'
)
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why it needs no replay; it stays with the dead letter.")
def dismiss(session: Session, letter_ids: tuple[str, ...], reason: str) -> None:
    """Close dead letters that need no replay. One is open again when its message is refused again."""
    with session.client() as client:
        got = [client.dismiss(letter_id, reason) for letter_id in letter_ids]
    session.items(got, [("dismissed", "id")], "")
