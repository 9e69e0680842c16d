"""`regista audit …`."""

from __future__ import annotations

import click

from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.people import actors, naming, when, who
from regista.cli.terminal.session import Session, command


@click.group()
def audit() -> None:
    """Show what proves the log: log checkpoints, invariants, stored events. For auditors."""


@command(
    group=audit,
    examples="regista audit checkpoints\nregista audit checkpoints --limit 1 --json | jq -r '.items[0].note'",
)
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
def checkpoints(session: Session, limit: int) -> None:
    """List log checkpoints (signed tree heads), newest first.

    Keep copies elsewhere: only they can prove that the log was rewritten.
    """
    with session.client() as client:
        found = client.checkpoints(limit)
    if session.json:
        session.out(found)
        return
    session.heading({name: found[name] for name in ("origin", "tree_size", "verifier_key")})
    session.items(
        found["items"],
        [("size", "size"), ("signed", lambda c: to_the_second(c["signed_at"])), ("root", "root")],
        "nothing is sealed yet",
    )


@command(
    group=audit,
    examples="regista audit invariants\n"
    "regista audit invariants --json | jq '.invariants[] | select(.holds | not)'",
)
def invariants(session: Session) -> None:
    """Check the whole log now; exit code 1 when an invariant does not hold."""
    with session.client() as client, session.waiting("checking the log"):
        found = client.invariants()
    if session.json:
        session.out(found)
    else:
        columns = [
            ("invariant", "name"),
            ("holds", "holds"),
            ("checked", "checked"),
            ("rule", "rule"),
            ("violations", "violations"),
        ]
        session.items(found["invariants"], columns, "nothing was checked")
    if not found["holds"]:
        click.get_current_context().exit(1)


@command(group=audit, examples="regista audit events model-0198…\nregista audit events --correlation 0198…")
@click.argument("stream", required=False)
@click.option(
    "--correlation", metavar="ID", help="The events with this correlation id, instead of one stream."
)
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def events(session: Session, stream: str | None, correlation: str | None, limit: int) -> None:
    """List the stored events of a stream, or of one correlation id."""
    if bool(stream) == bool(correlation):
        raise click.UsageError("name a stream or --correlation ID")
    with session.client() as client:
        found = client.events(stream, limit, correlation_id=correlation)
        shown = naming(session, client, (subject for event in found for subject in actors(event)))
    columns = [
        ("when", when),
        ("stream", "stream"),
        ("revision", "revision"),
        ("what", "type"),
        ("who", lambda e: who(e, shown)),
        ("why", "reason"),
        ("leaf", "leaf_index"),
    ]
    session.items(found, columns, "there are no such events", limit)
