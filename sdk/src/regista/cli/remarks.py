"""`regista versions edit|correct|note|notes|correct-note`: description, tags, notes, corrections."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.terminal.options import IF_REVISION, OPTIONAL_REASON, REASON
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import pairs

VERSION = click.argument("reference", metavar="MODEL@VERSION")
DESCRIPTION = click.option("--description", help='The new description; "" removes it.')
TAGS = click.option(
    "--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Add a tag, or change its value."
)
REMOVED = click.option("--remove-tag", "removed", multiple=True, metavar="NAME")
FIELDS = {
    "run_url": "training.run_url",
    "code_repository": "training.code.repository",
    "framework": "training.framework.name",
    "framework_version": "training.framework.version",
}
"""Options of `correct`, and the fields that they correct."""


def add_to(group: click.Group) -> None:
    """Add the commands to the group `versions`."""
    for one in (edit, correct, note, notes, correct_note):
        group.add_command(one)


@command(
    examples='regista versions edit churn@3 --description "without the May data"\n'
    "regista versions edit churn@latest --tag data=april --remove-tag draft"
)
@VERSION
@DESCRIPTION
@TAGS
@REMOVED
@OPTIONAL_REASON
@IF_REVISION
def edit(
    session: Session,
    reference: str,
    description: str | None,
    tags: tuple[str, ...],
    removed: tuple[str, ...],
    reason: str,
    expected: int | None,
) -> None:
    """Change the description and tags of a version."""
    if description is None and not tags and not removed:
        raise click.UsageError("name what to change: --description, --tag or --remove-tag")
    with session.client() as client:
        got = client.describe(
            reference,
            description=description,
            tags=pairs(tags, "tag"),
            remove_tags=removed,
            reason=reason,
            expected=expected,
        )
    session.one(got, f"changed {got['model']}@{got['number']}")


@command(
    examples="regista versions correct churn@3 --run-url https://mlflow.example/runs/8 "
    '--reason "the link was that of another run"\n'
    'regista versions correct churn@3 --framework-version 1.7.1 --reason "a typo"'
)
@VERSION
@click.option("--run-url", help='The link of the training run; "" removes it.')
@click.option("--code-repository", help='The link of the code; "" removes it.')
@click.option("--framework", help="The name of the framework.")
@click.option("--framework-version")
@click.option(
    "--field", "fields", multiple=True, metavar="PATH=VALUE", help="Any of them by its path in the version."
)
@DESCRIPTION
@TAGS
@REMOVED
@REASON
@IF_REVISION
def correct(
    session: Session,
    reference: str,
    fields: tuple[str, ...],
    description: str | None,
    tags: tuple[str, ...],
    removed: tuple[str, ...],
    reason: str,
    expected: int | None,
    **named: str | None,
) -> None:
    """Correct metadata of a version that no decision is bound to; what stood before is kept.

    Data, metrics, artifact, configuration, creator and time are never corrected: register a new version, or
    record a new evaluation. Open reviews that show a corrected field lapse.
    """
    given = pairs(fields, "field") | {
        FIELDS[name]: value for name, value in named.items() if value is not None
    }
    if not given and description is None and not tags and not removed:
        raise click.UsageError("name what to correct: --run-url, --code-repository, --framework, …")
    with session.client() as client:
        got = client.correct(
            reference,
            given,
            reason=reason,
            description=description,
            tags=pairs(tags, "tag"),
            remove_tags=removed,
            expected=expected,
        )
    session.one(got, f"corrected {got['model']}@{got['number']}")


@command(examples='regista versions note churn@3 "customers of 2019 are missing from the data"')
@VERSION
@click.argument("text")
def note(session: Session, reference: str, text: str) -> None:
    """Add a note to a version. Its author and time are kept."""
    with session.client() as client:
        got = client.add_note(reference, text)
    session.one(got, f"added note {got['note']} to {reference}")


@command(examples="regista versions notes churn@3")
@VERSION
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def notes(session: Session, reference: str, limit: int) -> None:
    """List the notes of a version, the oldest first; a corrected note with its earlier texts."""
    with session.client() as client:
        found = client.notes(reference, limit)
        shown = naming(session, client, (one.get("by") for one in found))
    columns: list[Any] = [
        ("note", "note"),
        ("when", lambda n: to_the_second(n.get("at"))),
        ("who", lambda n: shown(n.get("by"))),
        ("text", "text"),
        ("corrected", lambda n: to_the_second(n.get("corrected_at"))),
        ("before", lambda n: [str(one["text"]) for one in n.get("earlier") or ()]),
    ]
    session.items(found, columns, f"{reference} has no notes", limit)


@command(
    "correct-note",
    examples='regista versions correct-note churn@3 1 "customers of 2018 are missing" --reason "the year"',
)
@VERSION
@click.argument("number", metavar="NOTE", type=int)
@click.argument("text")
@OPTIONAL_REASON
def correct_note(session: Session, reference: str, number: int, text: str, reason: str) -> None:
    """Correct a note that you wrote; the text before is kept."""
    with session.client() as client:
        got = client.correct_note(reference, number, text, reason=reason)
    session.one(got, f"corrected note {number} of {reference}")
