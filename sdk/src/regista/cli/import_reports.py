"""What `regista import …` prints: the plan, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session

if TYPE_CHECKING:
    from regista.importing.adopting import Adoption
    from regista.importing.copying import ModelOutcome, Outcome
    from regista.importing.plan import PlannedModel

SHOWN = 10
"""Lines of one kind that are shown for a model."""
UNITS = ("B", "kB", "MB", "GB", "TB")


STATES = {
    "planned": "would be adopted",
    "adopted": "adopted",
    "serves": "serves here already",
    "refused": "not adopted",
    "failed": "not adopted yet",
}


def show_plan(
    session: Session, planned: Sequence[PlannedModel], adoptions: Mapping[str, Adoption] | None = None
) -> None:
    """Print a line for each model, and for people what each version lacks.

    `adoptions`: what would be adopted, by the model there; None where nothing is to be.
    """
    lines = [model.shown() for model in planned]
    if adoptions is not None:
        shown = {there: adoption.shown() for there, adoption in adoptions.items()}
        lines = [line | {"adoption": shown.get(line["there"])} for line in lines]
    columns = [
        ("there", "there"),
        ("model", "model"),
        ("versions", "versions"),
        ("here", "here"),
        ("new", "new"),
        ("size", lambda line: _amount(line["bytes"])),
        ("drafts", "drafts"),
        ("completed", lambda line: len(line["completed"])),
        ("missing", lambda line: _counts(line["missing"])),
        ("problem", "problem"),
    ]
    session.items(lines, columns, "there is no such model")
    if not session.for_people or not lines:
        return
    say(size_of(planned), err=True)
    for line in lines:
        _say_each(line["there"], "no bytes", line["without_bytes"])
        _say_each(line["there"], "skipped", line["skipped"])
        _say_each(line["there"], "failed", line["problems"])
        _say_each(line["there"], "left out", {n: "; ".join(notes) for n, notes in line["notes"].items()})
        _say_each(line["there"], "its stage there is only a claim", line["stages"])
    for there, adoption in (adoptions or {}).items():
        _say_adoption(there, adoption)
    people = sorted({name for line in lines for name in line["creators"]})
    if people:
        say(
            f"Made there by {', '.join(people[:SHOWN])}. Here you are the creator: --creator THERE=IDENTITY "
            "names theirs, so that they do not approve what they made.",
            err=True,
        )


def show_outcome(session: Session, outcome: Outcome) -> None:
    """Print what became of each model."""
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
        *([("adopted", _adopted)] if any(model.adoption for model in outcome.models) else ()),
        ("problem", "problem"),
    ]
    session.items([model.shown() for model in outcome.models], columns, "there is no such model")
    if session.for_people:
        for model in outcome.models:
            _say_outcome(model)


def _adopted(line: Mapping[str, Any]) -> str:
    adoption = line["adoption"]
    return f"{adoption['here'] or ''} {STATES[adoption['state']]}".strip() if adoption else ""


def _say_adoption(there: str, adoption: Adoption) -> None:
    """Print what becomes of the version that serves there."""
    why = f": {adoption.why}" if adoption.why else ""
    where = f" as version {adoption.here}" if adoption.here else ""
    state = f"{STATES[adoption.state]}{where} in {adoption.environment}"
    say(f"{there} {adoption.there} ({adoption.stage}): {state}{why}", err=True)


def _say_outcome(model: ModelOutcome) -> None:
    if model.adoption:
        _say_adoption(model.there, model.adoption)
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


def size_of(planned: Sequence[PlannedModel]) -> str:
    """Return the size of an import in a sentence."""
    new = sum(1 for model in planned for v in model.versions if not v.completes)
    here = sum(len(model.numbers) for model in planned)
    bytes_ = sum(v.bytes for model in planned for v in model.versions)
    drafts = sum(1 for model in planned for v in model.versions if v.missing and not v.completes)
    completed = sum(1 for model in planned for v in model.versions if v.completes)
    more = f"; {completed:,} drafts become more" if completed else ""
    return (
        f"{len(planned):,} models: {new:,} new versions ({_amount(bytes_)}), {drafts:,} of them drafts; "
        f"{here:,} versions are here already{more}"
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
