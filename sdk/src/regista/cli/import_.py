"""`regista import …`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.importing.copying import ModelOutcome, Outcome
    from regista.importing.mlflow import MlflowSource
    from regista.importing.plan import PlannedModel

EXAMPLES = """
regista import mlflow --from https://mlflow.example.com --to crm --dry-run
regista import mlflow --from https://mlflow.example.com --to crm
regista import mlflow --from http://127.0.0.1:5000 --models 'fraud*' --json
regista import mlflow --from https://mlflow.example.com --rename 'Churn (new)=crm.churn'
regista import mlflow --from https://mlflow.example.com --creator alice=person:alice
"""
SHOWN = 10
"""Lines of one kind that are shown for a model."""
UNITS = ("B", "kB", "MB", "GB", "TB")


@click.group()
def import_() -> None:
    """Import models from another registry. What it states stays a claim: no gate here is skipped."""


@command(group=import_, examples=EXAMPLES)
@click.option("--from", "uri", required=True, metavar="URI", help="The address of the MLflow server.")
@click.option("--to", "namespace", default="", metavar="NAMESPACE", help="The namespace of the models here.")
@click.option("--models", multiple=True, metavar="PATTERN", help="Only these: 'fraud*'. May be repeated.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option(
    "--rename", multiple=True, metavar="THERE=HERE", help="The whole name of a model here. May be repeated."
)
@click.option(
    "--creator",
    multiple=True,
    metavar="THERE=IDENTITY",
    help="Who a user there is here: never an approver of what they made. May be repeated.",
)
@click.option(
    "--artifacts-below",
    "root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder on this machine in which artifacts with local paths may be read.",
)
def mlflow(
    session: Session,
    uri: str,
    namespace: str,
    models: tuple[str, ...],
    dry_run: bool,
    rename: tuple[str, ...],
    creator: tuple[str, ...],
    root: Path | None,
) -> None:
    """Import models and versions of an MLflow server: bytes, metadata, tags, aliases, descriptions.

    A version that is here already is left as it is, so the command may be repeated. Credentials for MLflow
    are read from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
    """
    from regista.importing.plan import Choices  # noqa: PLC0415 - imported when a command runs

    choices = Choices(namespace, models, _pairs(rename, "--rename"), _pairs(creator, "--creator"))
    with _mlflow(uri, root) as source, session.client(lasting=True) as client:
        planned = _planned(session, client.asynchronous, source, choices)
        if dry_run:
            _show_plan(session, planned)
            return
        say(_size(planned), err=True)
        outcome = _copied(session, client.asynchronous, source, planned)
    _show_outcome(session, outcome)
    if outcome.stopped is not None:
        raise outcome.stopped
    click.get_current_context().exit(outcome.exit_code)


def _pairs(values: Sequence[str], option: str) -> dict[str, str]:
    """Return `THERE=HERE` arguments. The name there may have the sign `=` in it."""
    found = {}
    for value in values:
        there, _, here = value.rpartition("=")
        if not there or not here:
            raise click.BadParameter(f"{value!r} is no pair of names: write {option} THERE=HERE")
        found[there] = here
    return found


@contextmanager
def _mlflow(uri: str, root: Path | None) -> Iterator[MlflowSource]:
    from regista.client.loop_thread import LOOP  # noqa: PLC0415 - imported when a command runs
    from regista.importing.mlflow import MlflowSource, read_address  # noqa: PLC0415

    source = MlflowSource(read_address(uri), root=root)
    try:
        yield source
    finally:
        LOOP.run(source.aclose())


def _planned(session: Session, client: Any, source: MlflowSource, choices: Any) -> list[PlannedModel]:
    from regista.client.loop_thread import LOOP  # noqa: PLC0415
    from regista.importing.plan import Planner  # noqa: PLC0415

    with session.progress("reading", bytes_=False) as progress:
        return LOOP.run(Planner(client, source, choices).plan(progress))


def _copied(session: Session, client: Any, source: MlflowSource, planned: Sequence[PlannedModel]) -> Outcome:
    from regista.client.loop_thread import LOOP  # noqa: PLC0415
    from regista.importing.copying import Copier  # noqa: PLC0415

    with session.progress("importing") as progress:
        return LOOP.run(Copier(client, source).copy(planned, progress))


def _show_plan(session: Session, planned: Sequence[PlannedModel]) -> None:
    lines = [model.shown() for model in planned]
    columns = [
        ("there", "there"),
        ("model", "model"),
        ("versions", "versions"),
        ("here", "here"),
        ("new", "new"),
        ("size", lambda line: _amount(line["bytes"])),
        ("drafts", "drafts"),
        ("missing", lambda line: _counts(line["missing"])),
        ("problem", "problem"),
    ]
    session.items(lines, columns, "there is no such model")
    if not session.for_people or not lines:
        return
    say(_size(planned), err=True)
    for line in lines:
        _say_each(line["there"], "no bytes", line["without_bytes"])
        _say_each(line["there"], "skipped", line["skipped"])
        _say_each(line["there"], "failed", line["problems"])
        _say_each(line["there"], "left out", {n: "; ".join(notes) for n, notes in line["notes"].items()})
        _say_each(line["there"], "its stage there is only a claim", line["stages"])
    people = sorted({name for line in lines for name in line["creators"]})
    if people:
        say(
            f"Made there by {', '.join(people[:SHOWN])}. Here you are the creator: --creator THERE=IDENTITY "
            "names theirs, so that they do not approve what they made.",
            err=True,
        )


def _show_outcome(session: Session, outcome: Outcome) -> None:
    if session.json:
        stopped = (
            {"code": outcome.stopped.code, "detail": outcome.stopped.detail} if outcome.stopped else None
        )
        models = [model.shown() for model in outcome.models]
        session.out({"models": models, "bytes": outcome.bytes, "stopped": stopped})
        return
    columns = [
        ("model", lambda line: line["model"] or line["there"]),
        ("imported", lambda line: len(line["imported"])),
        ("drafts", lambda line: len(line["drafts"])),
        ("completed", lambda line: len(line["completed"])),
        ("here before", "here_before"),
        ("refused", lambda line: len(line["refused"])),
        ("failed", lambda line: len(line["failed"])),
        ("aliases", lambda line: ", ".join(f"{name} → {n}" for name, n in line["aliases"].items())),
        ("problem", "problem"),
    ]
    session.items([model.shown() for model in outcome.models], columns, "there is no such model")
    if session.for_people:
        for model in outcome.models:
            _say_outcome(model)


def _say_outcome(model: ModelOutcome) -> None:
    _say_each(model.there, "refused", model.refused)
    _say_each(model.there, "failed", model.failed)
    _say_each(model.there, "skipped", model.skipped)
    _say_each(model.there, "alias not set", model.aliases_not_set)
    for note in model.notes[:SHOWN]:
        say(f"note: {model.there} {note}", err=True, fg="yellow")
    if len(model.notes) > SHOWN:
        say(f"note: {model.there}: {len(model.notes) - SHOWN} more notes: --json", err=True, fg="yellow")


def _say_each(model: str, what: str, reasons: Mapping[str, str]) -> None:
    """Print why something is so, for each version or alias."""
    for name, reason in list(reasons.items())[:SHOWN]:
        say(f"{model} {name}: {what}: {reason}", err=True)
    if len(reasons) > SHOWN:
        say(f"{model}: {what}: {len(reasons) - SHOWN} more: --json", err=True)


def _size(planned: Sequence[PlannedModel]) -> str:
    new = sum(1 for model in planned for v in model.versions if not v.completes)
    here = sum(len(model.numbers) for model in planned)
    bytes_ = sum(v.bytes for model in planned for v in model.versions)
    drafts = sum(1 for model in planned for v in model.versions if v.missing and not v.completes)
    return (
        f"{len(planned):,} models: {new:,} new versions ({_amount(bytes_)}), {drafts:,} of them drafts; "
        f"{here:,} versions are here already"
    )


def _counts(missing: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('signature', 'schema')} ({count})" for name, count in missing.items())


def _amount(count: int) -> str:
    """Return bytes as people read them."""
    amount, unit = float(count), UNITS[0]
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
