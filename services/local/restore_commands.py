"""`regista doctor` and `regista restore accept`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.output import as_json as dumped
from regista.cli.terminal.output import say
from services.local.folders import InstanceFolder, LocalError
from services.local.with_instance import with_instance

if TYPE_CHECKING:
    from services.local.doctor import Diagnosis
    from services.local.instance import Instance
    from services.local.restore import Accepted


def _instance(folder: InstanceFolder) -> Instance:
    from services.local.instance import Instance  # noqa: PLC0415 - the other commands do without it
    from services.local.stack import STATE  # noqa: PLC0415

    instance = Instance.at(folder)
    instance.stack.postgres.given = folder.read(STATE).get("postgres_given", "")
    return instance


@click.command(epilog="Example: regista doctor --json | jq '.found.audit.topics[].named'")
@with_instance
@click.option("--json", "as_json", is_flag=True, help="For programs: the findings on stdout.")
def doctor(folder: InstanceFolder, as_json: bool) -> None:
    """Compare the log with Kafka's topics, log checkpoints, exported files and artifacts; change nothing.

    Exit code 0: nothing is lost. 1: something is, exported files are damaged, or a restored dump is not
    accepted yet. 2: not all could be compared.
    """
    from services.local.doctor import diagnosed  # noqa: PLC0415

    try:
        diagnosis = diagnosed(_instance(folder), partial(say, err=True))
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        shown = {"found": diagnosis.found, "failed": diagnosis.failed, "next": diagnosis.next_steps}
        say(dumped(shown | {"lost": diagnosis.lost}))
    else:
        _show(diagnosis)
    sys.exit(diagnosis.exit_code)


def _show(diagnosis: Diagnosis) -> None:
    audit, artifact = diagnosis.found.get("audit", {}), diagnosis.found.get("artifact", {})
    for name in ("restored", "stopped", "checkpoints"):
        if audit.get(name):
            say(f"{name}: {audit[name]}")
    for topic in audit.get("topics", ()):
        if topic["lost"]:
            say(f"{topic['lost']} events of {topic['topic']} are lost:")
            say(f"  {topic['oldest']} to {topic['newest']}")
            for type_, number in sorted(topic["types"].items()):
                say(f"  {number:>6} {type_}")
            for one in topic["named"]:
                say(f"  {one['recorded_at']} {one['type']} {one['stream']} revision {one['revision']}")
    for kind in ("lost", "damaged"):
        for one in (audit.get("history") or {}).get(kind, ()):
            say(f"exported log, {kind}: {one}")
    for name, what in (
        ("unknown_to_log", "artifacts are stored that the log does not name"),
        ("without_objects", "artifacts are verified in the log and not stored"),
    ):
        if artifact.get(name):
            say(f"{artifact[name]} {what}: {', '.join(artifact['named'][name])}")
    for part, why in {**audit.get("unknown", {}), **diagnosis.failed}.items():
        say(f"not compared: {part}: {why}")
    say("Something is lost." if diagnosis.lost else "Nothing is lost." if diagnosis.exit_code != 2 else "")
    for step in diagnosis.next_steps:
        say(f"  → {step}")


@click.group(epilog="Example: regista restore accept --reason 'moved to another server, ticket 4711'")
def restore() -> None:
    """Go on with a restored database."""


@restore.command(
    epilog="Example: regista restore accept --reason 'moved to another server with pg_dump, ticket 4711'"
)
@with_instance
@click.option("--reason", required=True, help="Why; it is stored with the epoch.")
@click.option(
    "--lost", is_flag=True, help="Give up the events that the log lacks. Only without a newer copy."
)
@click.option(
    "--url", default="", envvar="REGISTA_OWNER_URL", help="The owner's URL of a database elsewhere."
)
@click.option(
    "--findings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --url: the output of `python -m services.audit doctor`, run there.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: what was done.")
def accept(
    folder: InstanceFolder, reason: str, lost: bool, url: str, findings: Path | None, as_json: bool
) -> None:
    """Begin an epoch: the log goes on behind all that it has, whatever transaction ids the server gives.

    Stop the services first; PostgreSQL and Kafka must run. Nothing of the log is changed.
    """
    from services.local import restore as accepting  # noqa: PLC0415

    try:
        found = _findings(folder, findings, local=not url)
        _refuse_loss(found, accepted=lost)
        owner_url = url or _instance(folder).stack.owner_url()
        done = accepting.accept_now(owner_url, reason, found, lost=lost)
        groups = _set_groups(folder, found, done) if lost and not url else {}
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        say(dumped({"epoch": done.epoch, "origin": done.origin, "groups": groups}))
    else:
        _report(done, groups, elsewhere=bool(url), lost=lost)


def _findings(folder: InstanceFolder, file: Path | None, *, local: bool) -> Mapping[str, Any]:
    """Return what audit found: of the instance by comparing now, of another database from the file."""
    from services.local.doctor import diagnosed  # noqa: PLC0415

    if local:
        found: Mapping[str, Any] = diagnosed(_instance(folder), partial(say, err=True)).found.get("audit", {})
    elif file is None:
        raise LocalError(
            "with --url, run `python -m services.audit doctor` there and pass its output: --findings"
        )
    else:
        found = json.loads(file.read_text("utf-8"))
    if found.get("unknown") or not found:
        why = "; ".join(found.get("unknown", {}).values()) or "audit's comparison failed"
        raise LocalError(f"not all could be compared ({why}): start PostgreSQL, Kafka and S3, then repeat")
    return found


def _refuse_loss(found: Mapping[str, Any], *, accepted: bool) -> None:
    lost = found.get("checkpoints") or any(topic["lost"] for topic in found.get("topics", ()))
    if lost and not accepted:
        raise LocalError(
            "the log lacks what was published (`regista doctor` names it). Restore a newer copy of the"
            " database; only if there is none, repeat with --lost"
        )


def _set_groups(folder: InstanceFolder, found: Mapping[str, Any], done: Accepted) -> dict[str, str]:
    from services.local.group_offsets import set_groups  # noqa: PLC0415
    from services.local.restore import read_from  # noqa: PLC0415

    return set_groups(_instance(folder).stack.kafka.admin(), done.topics, read_from(found))


def _report(done: Accepted, groups: Mapping[str, str], *, elsewhere: bool, lost: bool) -> None:
    if not done.epoch:
        say("Nothing to accept: the log goes on as it is.")
        return
    say(f"Epoch {done.epoch} has begun.")
    if done.published_again:
        say(f"The last {done.published_again} events of each service are published again.")
    for group, what in groups.items():
        say(f"{group} {what}")
    if done.origin:
        say(f"A new log begins: {done.origin}. Audit needs a new signing key; see docs/operating.md.")
    if lost and elsewhere:
        say("Set the consumer groups as docs/operating.md describes, then start the services.")
