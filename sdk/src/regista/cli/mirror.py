"""`regista mirror …`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.session import Session, command
from regista.client.sync_client import Client

STATUSES = ("due", "mirrored", "drifted", "waiting", "absent", "failed")
STAGES = ("Staging", "Validated", "Production")
PAUSE = 0.3
"""Seconds between two looks at a check that runs."""
DRIFTED = 1
"""Exit code of a check that found a difference which stays."""


@click.group()
def mirror() -> None:
    """Show what Regista decides in other registries, and find what was changed there.

    A target is another registry. Its address and credentials are in the file TARGET.toml at the service.
    """


@mirror.group()
def target() -> None:
    """Set, list and remove the registries that mirror this one."""


@command(
    "set",
    group=target,
    examples="regista mirror target set partners --kind mlflow\n"
    "regista mirror target set partners --kind azureml --namespace fraud --from Production",
)
@click.argument("name", metavar="TARGET")
@click.option("--kind", required=True, help="The kind of registry: mlflow, sagemaker or azureml.")
@click.option(
    "--namespace", "namespaces", multiple=True, metavar="NAME", help="Only models of it. May be repeated."
)
@click.option(
    "--from",
    "from_stage",
    type=click.Choice(STAGES),
    default="Validated",
    show_default=True,
    help="The first stage of which versions are mirrored.",
)
def set_(session: Session, name: str, kind: str, namespaces: tuple[str, ...], from_stage: str) -> None:
    """Mirror versions to a target, from a stage on. An admin of its namespaces may."""
    with session.client() as client:
        got = client.set_mirror(name, kind, namespaces=namespaces or ("*",), from_stage=from_stage)
    session.one(got, f"set {name}: `regista mirror status {name}` shows how far it is in step")


@command("list", group=target, examples="regista mirror target list")
def list_(session: Session) -> None:
    """List the targets."""
    with session.client() as client:
        found = client.mirrors()
    columns = [
        ("target", "target"),
        ("kind", "kind"),
        ("namespaces", lambda t: ", ".join(t.get("namespaces", []))),
        ("from", "from_stage"),
        ("set", lambda t: to_the_second(t.get("set_at"))),
    ]
    session.items(found, columns, "no targets: `regista mirror target set`")


@command(group=target, examples="regista mirror target remove partners")
@click.argument("name", metavar="TARGET")
def remove(session: Session, name: str) -> None:
    """Stop mirroring to a target. What it has stays there."""
    with session.client() as client:
        session.one(client.remove_mirror(name), f"removed {name}; what it has stays there")


@command(
    group=mirror,
    examples="regista mirror status\nregista mirror status partners\n"
    "regista mirror status partners --only failed",
)
@click.argument("name", metavar="[TARGET]", default="")
@click.option("--only", type=click.Choice(STATUSES), help="Only versions of this standing.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def status(session: Session, name: str, only: str | None, limit: int) -> None:
    """Show how far targets are in step; with TARGET, each of its versions and why it is not."""
    if only and not name:
        raise click.UsageError("name a target with --only")
    with session.client() as client:
        if not name:
            session.items(client.mirrors(), TARGETS, "no targets: `regista mirror target set`")
            return
        one = client.mirror(name)
        found = client.mirrored_versions(name, limit, status=only)
    if session.for_people:
        say(_summary(one))
    session.items(found, VERSIONS, "no versions to show", limit)


@command(
    group=mirror, examples="regista mirror check partners\nregista mirror check partners --repair --wait 600"
)
@click.argument("name", metavar="TARGET")
@click.option("--repair", is_flag=True, help="Write again what differs, and try again what failed.")
@click.option(
    "--wait", type=click.FloatRange(0), default=300.0, show_default=True, help="Seconds to wait for the end."
)
def check(session: Session, name: str, repair: bool, wait: float) -> None:
    """Compare a target with the registry: what was changed there by hand is shown.

    Exit code 1 when something differs and is not repaired.
    """
    with session.client() as client:
        check_id = client.check_mirror(name, repair=repair)["check_id"]
        found = _ended(client, name, check_id, wait)
        drifted = [] if repair else client.mirrored_versions(name, status="drifted")
    if session.json:
        session.out({"check": found, "drifted": drifted})
    else:
        verb = "are written again" if repair else "differ"
        say(f"{found['compared']} versions compared, {found['drifted']} {verb}")
        if drifted:
            session.items(drifted, DIFFERENCES, "")
    if found["problem"]:
        say(f"The check ended early: {found['problem']}", err=True)
    if found["problem"] or drifted:
        sys.exit(DRIFTED)


def _ended(client: Client, name: str, check_id: str, wait: float) -> Mapping[str, Any]:
    """Return the check when it has ended. Exits with 6 when it still runs."""
    deadline = time.monotonic() + wait
    while True:
        found = client.mirror(name).get("check")
        if found and (found["check_id"] != check_id or not found["running"]):
            return found
        if time.monotonic() > deadline:
            say(f"the check still runs: `regista mirror status {name}` shows its end", err=True)
            sys.exit(6)
        time.sleep(PAUSE)


def _summary(one: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in sorted(one.get("versions", {}).items()))
    lines = [f"{one['target']} ({one['kind']}, from {one['from_stage']} on): {counts or 'no versions yet'}"]
    if not one.get("surveyed"):
        lines.append("the versions that were registered before are still being requested")
    if failure := one.get("failure"):
        lines.append(f"last failure at {to_the_second(one.get('failed_at'))}: {failure}")
    if one.get("failure") and one.get("next_at"):
        lines.append(f"next attempt at {to_the_second(one.get('next_at'))}")
    if one_check := one.get("check"):
        state = "runs" if one_check["running"] else f"ended at {to_the_second(one_check['at'])}"
        figures = f"{one_check['compared']} compared, {one_check['drifted']} differed"
        lines.append(f"the newest check {state}: {figures}")
    return "\n".join(lines)


def _differences(version: Mapping[str, Any]) -> str:
    found = version.get("differences") or []
    return "; ".join(map(_difference, found))


def _difference(one: Mapping[str, Any]) -> str:
    there = "missing" if one["found"] is None else f"{one['found'] or 'nothing'!s:.60}"
    return f"{one['field']}: {there} instead of {one['wanted'] or 'nothing'!s:.60}"


def _count(status_: str) -> Any:
    return lambda t: t.get("versions", {}).get(status_, 0)


TARGETS = [
    ("target", "target"),
    ("kind", "kind"),
    *((name, _count(name)) for name in ("mirrored", "due", "waiting", "drifted", "failed")),
    ("last failure", "failure"),
    ("next attempt", lambda t: to_the_second(t.get("next_at")) if t.get("failure") else ""),
]
VERSIONS = [
    ("model", "model"),
    ("number", "number"),
    ("version", "semver"),
    ("stage", "stage"),
    ("standing", "status"),
    ("there", "address"),
    ("why", lambda v: _differences(v) or v.get("detail")),
    ("since", lambda v: to_the_second(v.get("at"))),
]
DIFFERENCES = [
    ("model", "model"),
    ("number", "number"),
    ("there", "address"),
    ("differs", _differences),
]
