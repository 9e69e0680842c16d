"""`regista audit …`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli import audit_reports
from regista.cli.terminal.former import RenamingCommand, RenamingGroup
from regista.cli.terminal.output import as_json, say, to_the_second
from regista.cli.terminal.people import actors, check_known, naming, warn_of_faults, when, who
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.stored_names import explain_stored_names

if TYPE_CHECKING:
    from regista.client.sync_client import Client
    from regista.shapes.audit import Invariants

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ATTEMPT = ("code", "action", "count", "detail")
PAUSE = 0.5
"""Seconds between two looks at the progress of a full run."""


@click.group(cls=RenamingGroup, former={"checkpoints": "log-checkpoints"})
def audit() -> None:
    """Report who decided what, and show what proves the log. For auditors."""


audit_reports.add_to(audit)


@command(
    "log-checkpoints",
    group=audit,
    examples="regista audit log-checkpoints\nregista audit log-checkpoints --save kept.note\n"
    "regista audit log-checkpoints --limit 1 --json | jq -r '.items[0].note'",
)
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option(
    "--save",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the newest to this file. A file that exists is replaced if the log continues it.",
)
def log_checkpoints(session: Session, limit: int, file: Path | None) -> None:
    """List log checkpoints (signed tree heads), newest first.

    Keep copies elsewhere: only they can prove that the log was rewritten.
    """
    with session.client() as client:
        if file is not None:
            session.one(_save(client, file))
            return
        found = client.log_checkpoints(limit)
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
    cls=RenamingCommand,
    former={"--subject": "--identity"},
    group=audit,
    examples="regista audit attempts --limit 20\nregista audit attempts --model churn\n"
    "regista audit attempts --identity u-7k2m --since 2026-11-01",
)
@click.option("--identity", "subject", help="Only attempts of this identity, or of the one with this name.")
@click.option("--model", help="Only attempts on this model.")
@click.option("--since", metavar="TIME", help="RFC 3339, or a day in UTC.")
@click.option("--until", metavar="TIME", help="RFC 3339, or a day in UTC.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def attempts(
    session: Session, subject: str | None, model: str | None, since: str | None, until: str | None, limit: int
) -> None:
    """List who tried what a rule denied, newest first, counted for each rule and hour."""
    with session.client() as client:
        subject = client.subject_of(subject) if subject else None
        found = client.attempts(limit, subject=subject, model=model, since=since, until=until)
        if subject and not found:
            check_known(client, subject)
        shown = naming(session, client, (subject for event in found for subject in actors(event)))
    rows = [
        {**event, **{name: (event.get("data") or {}).get(name, "") for name in ATTEMPT}} for event in found
    ]
    columns = [
        ("when", when),
        ("who", lambda e: who(e, shown)),
        ("rule", "code"),
        ("tried", "action"),
        ("times", "count"),
        ("why", "detail"),
    ]
    if session.json:
        session.out(found)
        return
    session.items(rows, columns, "no attempt was denied", limit)
    warn_of_faults(found)


def _save(client: Client, file: Path) -> dict[str, Any]:
    """Write the newest log checkpoint; compare it first with that of the file, if there is one."""
    from regista.files import replace_file  # noqa: PLC0415
    from regista.kept_checkpoints import check as compare  # noqa: PLC0415
    from regista.kept_checkpoints import newest, read  # noqa: PLC0415

    key = client.log_checkpoints(1)["verifier_key"]
    now = newest(client, key)
    if file.exists():
        compare(client, read(file.read_text("utf-8", "replace"), key), now)
    replace_file(file, now.note)
    return {"file": str(file), "size": now.checkpoint.size, "verifier_key": key}


@command(
    group=audit,
    examples="regista audit check kept.note\nregista audit check kept.note --key 'regista.log/…+…+…'",
)
@click.argument("file", metavar="LOG_CHECKPOINT", type=FILE)
@click.option(
    "--key",
    metavar="VERIFIER_KEY",
    default="",
    help="The key that signed the log checkpoint, from where you keep it. Without it, the service names it.",
)
def check(session: Session, file: Path, key: str) -> None:
    """Compare a log checkpoint that you kept with the log as it is now.

    Exit code 1 when the log does not continue it: events are missing or were changed.
    """
    from regista.kept_checkpoints import check as compare  # noqa: PLC0415
    from regista.kept_checkpoints import newest, read  # noqa: PLC0415

    with session.client() as client:
        key = key or client.log_checkpoints(1)["verifier_key"]
        kept, now = read(file.read_text("utf-8", "replace"), key), newest(client, key)
        compare(client, kept, now)
    old, new = kept.checkpoint, now.checkpoint
    session.one(
        {"continues": True, "log": new.origin, "kept": old.size, "size": new.size, "root": new.root.hex()},
        f"the log continues it: {old.size} events then, {new.size} now; none of them changed",
    )


@command(group=audit, examples="regista audit proof 4711 --save event.proof.json")
@click.argument("leaf_index", type=click.IntRange(0))
@click.option(
    "--save", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file."
)
@click.option("--key", metavar="VERIFIER_KEY", default="", help="The key that signs the log checkpoints.")
def proof(session: Session, leaf_index: int, file: Path | None, key: str) -> None:
    """Prove that an event is in the log: its bytes, its place in the tree, and a log checkpoint.

    LEAF_INDEX is the column `leaf` of `regista audit events`.
    """
    from regista.files import replace_file  # noqa: PLC0415
    from regista.kept_checkpoints import proof_of  # noqa: PLC0415

    with session.client() as client:
        made = proof_of(client, leaf_index, key)
    if file is None:
        session.out(made)
        explain_stored_names(session, made)
        return
    replace_file(file, as_json(made) + "\n")
    session.one({"file": str(file), "leaf_index": leaf_index, "log_checkpoint": made["size"]})


@command(
    "verify-proof",
    group=audit,
    examples="regista audit verify-proof event.proof.json --key 'regista.log/…+…+…'",
)
@click.argument("file", metavar="PROOF", type=FILE)
@click.option(
    "--key", metavar="VERIFIER_KEY", required=True, help="The key that `regista audit log-checkpoints` shows."
)
def verify_proof(session: Session, file: Path, key: str) -> None:
    """Verify the proof of an event on this machine, without any service.

    Exit code 1 when it proves nothing.
    """
    import msgspec  # noqa: PLC0415

    from regista.errors import Invalid  # noqa: PLC0415
    from regista.kept_checkpoints import verify_proof as verified  # noqa: PLC0415

    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as wrong:
        raise Invalid("no_proof", f"{file} is no proof of an event: {wrong}") from wrong
    proven = verified(found, key)
    session.one(proven)
    explain_stored_names(session, proven)


@command(
    group=audit,
    examples="regista audit invariants\n"
    "regista audit invariants --full\n"
    "regista audit invariants --json | jq '.invariants[] | select(.holds | not)'",
)
@click.option("--full", is_flag=True, help="Read and verify the whole log again, and wait for it.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Seconds to wait for the full run.",
)
def invariants(session: Session, wait: float, *, full: bool) -> None:
    """Show whether the log is as it must be; exit code 1 when an invariant does not hold.

    The audit service verifies each sealed leaf once. This command verifies the leaves that are new, and shows
    what was found in all verified ones. Only --full finds a leaf that was changed after it was verified.
    """
    with session.client() as client:
        if full:
            found = _full_run(session, client, wait)
        else:
            with session.waiting("verifying new leaves"):
                found = client.invariants()
    if session.json:
        session.out(found)
    else:
        session.heading({name: found[name] for name in ("verified", "sealed", "read_since")})
        columns = [
            ("invariant", "name"),
            ("holds", "holds"),
            ("checked", "checked"),
            ("rule", "rule"),
            ("violations", "violations"),
        ]
        session.items(found["invariants"], columns, "nothing was checked")
        _show_exceptions(session, found)
    if not found["holds"]:
        click.get_current_context().exit(1)


def _show_exceptions(session: Session, found: Mapping[str, Any]) -> None:
    """Print what reached Production without people, and the overrides without an after-review."""
    if not session.for_people:
        return
    model = ("model", lambda e: f"{e.get('model')}@{e.get('number')}")
    passed, owed = found.get("without_people") or (), found.get("owed_after_reviews") or ()
    if passed:
        say("reached Production without an approval by people:")
        columns = [model, ("in", "environment"), ("why", "why"), ("at", lambda e: to_the_second(e.get("at")))]
        session.items(passed, columns, "")
    if owed:
        say("overrides whose after-review is missing (`regista reviews`):")
        columns = [
            model,
            ("review", "promotion_id"),
            ("overrode", "by"),
            ("reason", "reason"),
            ("due", lambda e: to_the_second(e.get("due_at"))),
        ]
        session.items(owed, columns, "")


def _full_run(session: Session, client: Client, wait: float) -> Invariants:
    """Request a full run, and return the answer of the service once the run is finished. Raises TimedOut."""
    from regista.errors import TimedOut  # noqa: PLC0415 - imported when a command runs

    deadline = time.monotonic() + wait
    requested = datetime.fromisoformat(client.check_invariants()["requested_at"])
    with session.progress("verifying", bytes_=False) as progress:
        while True:
            found = client.invariants()
            if datetime.fromisoformat(found["read_since"]) >= requested:
                return found
            run = found["full_run"] or {"verified": 0, "leaves": 0}
            if progress:
                progress("leaves", run["verified"], run["leaves"])
            if time.monotonic() > deadline:
                raise TimedOut(
                    "not_verified",
                    f"{run['verified']} of {run['leaves']} leaves are verified again after {wait:.0f} s",
                    advice="The run continues: look again later with `regista audit invariants`.",
                )
            time.sleep(PAUSE)


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
        found = client.stored_events(stream, limit, correlation_id=correlation)
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
    explain_stored_names(session, [{"type": event.get("type")} for event in found])
    warn_of_faults(found)
