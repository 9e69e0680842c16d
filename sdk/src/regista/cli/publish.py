"""`regista publish`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from regista.cli.terminal.former import RenamingCommand
from regista.cli.terminal.options import GOALS, KINDS, TIERS, TIMEOUT
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import pairs, read_json

if TYPE_CHECKING:
    from regista.publishing.publication import Registered

EXAMPLES = """
regista publish churn model.onnx --metadata run.json
regista publish churn ./model-folder --metadata run.json --bump minor
regista publish encoder ~/.cache/huggingface/hub/models--bert/snapshots/5c3fe2 --follow-links --draft
regista publish churn model.onnx --metadata run.json --until validated --timeout 300
regista publish churn model.onnx --draft
"""


@command(cls=RenamingCommand, former={"--base": "--compare-with"}, examples=EXAMPLES)
@click.argument("model")
@click.argument("artifact", type=click.Path(exists=True, path_type=Path), required=False)
@click.option(
    "--metadata",
    type=click.File("rb"),
    help="JSON with `training`, `schema`, `parents` as in ModelTrained.",
)
@click.option("--follow-links", is_flag=True, help="Read links to files as files.")
@click.option("--kind", type=KINDS, default="model", show_default=True)
@click.option("--draft", is_flag=True, help="Register without the mandatory metadata; complete it later.")
@click.option(
    "--bump",
    "version",
    metavar="major|minor|patch|1.2.0",
    default="",
    help="Claim a version or a bump; a claim smaller than the proven change is raised.",
)
@click.option("--exact", is_flag=True, help="Refuse the version instead of raising the claim.")
@click.option(
    "--compare-with",
    help="The version to compare with: a number, a semantic version, an environment or an alias.",
)
@click.option("--owner")
@click.option("--tier", type=TIERS)
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE")
@click.option(
    "--strict", is_flag=True, help="Refuse the version when its owner, tier or tags would not be taken."
)
@click.option(
    "--via", type=click.Choice(["kafka", "http"]), help="Default: Kafka where it is configured, else HTTP."
)
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait for the registered version or the refusal. Without it, `id` in --json is that of the message, "
    "or over HTTP, where the version is registered immediately, MODEL_ID@NUMBER.",
)
@click.option("--until", type=GOALS, help="Wait until the version is Validated, or in Production.")
@TIMEOUT
def publish(
    session: Session,
    model: str,
    artifact: Path | None,
    metadata: BinaryIO | None,
    wait: bool,
    until: Any,
    timeout: float,
    **facts: Any,
) -> None:
    """Upload an artifact (a file or a folder) and register a version (publish ModelTrained)."""
    if until and (facts["draft"] or not wait):
        raise click.UsageError("--until waits for a complete version: leave --draft and --no-wait out")
    facts |= {"tags": pairs(facts["tags"], "tag") or None, "via": facts["via"] or ""} | _metadata(metadata)
    with session.client(lasting=True) as client:
        with session.progress("uploading") as progress:
            published = client.publish(model, artifact, progress=progress, **facts)
        if not wait:
            published.detach()
            sent = {"id": published.id, "model": model, "digest": published.digest}
            if not published.id:
                sent |= _registered(published.wait(timeout))
            session.one(sent, f"published {sent['id']}")
            return
        deadline = time.monotonic() + timeout
        with session.waiting(f"waiting for the outcome of {published.id or model}", timeout):
            got = published.wait(timeout)
        version: Mapping[str, Any] = got.version
        if until:
            left = max(0.0, deadline - time.monotonic())
            with session.waiting(f"waiting for {model}@{got.number} to reach {until}", left):
                version = client.wait_for(f"{got.model_id or model}@{got.number}", until, left)
    if session.json:
        session.out({**version, "new": got.new})
        return
    stage = version.get("stage") or got.stage
    what = f"{model} {got.semver or '(no version yet)'}, number {got.number}, {stage}"
    done = f"registered {what}{_why(got.version)}" if got.new else f"already registered: {what}"
    session.one(version, done)
    _say_notes(got.version)


def _registered(got: Registered) -> dict[str, Any]:
    """Return what names a version that was registered over HTTP: no message has an id there."""
    version = {"number": got.number, "semver": got.semver, "stage": got.stage, "new": got.new}
    return {"id": f"{got.model_id or got.model}@{got.number}", "model_id": got.model_id, **version}


def _metadata(file: BinaryIO | None) -> dict[str, Any]:
    """Return what --metadata has. The schema may have its former name, `signature`."""
    given = read_json(file.read(), "--metadata") if file else {}
    if "signature" in given and "schema" not in given:
        say("DeprecationWarning: `signature` in --metadata is deprecated. Use `schema`.", err=True, fg="red")
        given["schema"] = given.pop("signature")
    if others := given.keys() - {"training", "schema", "parents"}:
        raise click.UsageError(
            f"--metadata has only training, schema and parents, not {', '.join(sorted(others))}: "
            "use the options for these"
        )
    return given


def _say_notes(version: Mapping[str, Any]) -> None:
    """Print what the sender should know about the registration, and what a draft lacks."""
    if missing := version.get("missing"):
        say(f"missing: {', '.join(missing)}: `regista versions complete` adds it", err=True, fg="yellow")
    for note in version.get("registration_notes") or ():
        say(f"note: {note}", err=True, fg="yellow")


def _why(version: Mapping[str, Any]) -> str:
    """Return why the version has its number, and what did not count."""
    bump = version.get("bump") or {}
    lines = (
        [f"{bump['level']} ({bump['rule']}) against {bump['compared_with_semver']}"]
        if bump.get("level")
        else []
    )
    lines += [f"note: {bump['note']}"] if bump.get("note") else []
    lines += [f"ignored as noise: {', '.join(bump['ignored'])}"] if bump.get("ignored") else []
    return "".join(f"\n  {line}" for line in lines)
