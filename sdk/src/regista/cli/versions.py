"""`regista versions …`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from regista.cli import remarks, version_lists
from regista.cli.terminal import versions_shown as columns_of
from regista.cli.terminal.moments import AT
from regista.cli.terminal.options import GOALS, IF_REVISION, REASON, TIMEOUT
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import pairs, read_json
from regista.errors import WithdrawnAncestor
from regista.files import copy_folder


@click.group()
def versions() -> None:
    """List, show, describe, correct, download, evaluate and complete versions.

    A version is written MODEL@3 (number), MODEL@1.2.0, MODEL@production, MODEL@alias or
    MODEL@latest (the newest that may be used).
    """


remarks.add_to(versions)
version_lists.add_to(versions)


@command(
    "trained-on",
    group=versions,
    examples="regista versions trained-on bank-0312\nregista versions trained-on sha256:…",
)
@click.argument("dataset")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def trained_on(session: Session, dataset: str, limit: int) -> None:
    """List what a data set (its name or digest) went into, of all models, and where it serves and served.

    This includes versions that were only evaluated on it, and all that was made from those trained on it.
    """
    with session.client() as client:
        found = client.trained_on(dataset, limit)
    columns = [
        ("model", "model"),
        ("number", "number"),
        ("version", "semver"),
        ("stage", "stage"),
        ("use", columns_of.use),
        ("serves", columns_of.serves),
        ("served", columns_of.served),
        ("data set", lambda v: f"{v.get('dataset_name') or ''} {str(v.get('dataset_digest') or '')[:19]}"),
        ("remarks", columns_of.remarks),
    ]
    session.items(found, columns, f"no version that you may read was made with {dataset}", limit)


@command(
    group=versions,
    examples="regista versions lineage churn@3\nregista versions lineage hf://google/bert-base@5c3fe2\n"
    "regista versions lineage churn@3 --at 2026-03-01",
)
@click.argument("reference", metavar="MODEL@VERSION|URL")
@AT
def lineage(session: Session, reference: str, moment: str | None) -> None:
    """Show what a version was made from and what was made from it, at any distance, and where each serves.

    A URL names a parent that is not in this registry, as the versions named it.
    """
    if moment and "://" in reference:
        raise click.UsageError(
            "give --at with a version: what was made from a URL is only known as it is now"
        )
    with session.client() as client:
        found = client.lineage(reference, moment)
    if session.json:
        session.out(found)
        return
    named = f"{found.get('model')}@{found.get('number')}"
    if session.for_people and found.get("number") and reference != named:
        say(f"{reference} is {named}")
    nodes = [{"steps": -n["generation"]} | n for n in reversed(found["ancestors"])]
    nodes += [{"steps": n["generation"]} | n for n in found["descendants"]]
    columns = [
        ("steps", lambda v: f"{v['steps']:+d}"),
        ("model", "model"),
        ("number", lambda v: v["number"] or ""),
        ("version", "semver"),
        ("relation", "relation"),
        ("stage", "stage"),
        ("serves", columns_of.serves),
        ("served", columns_of.served),
        ("remarks", columns_of.remarks),
    ]
    session.items(
        nodes, columns, f"{reference} was made from nothing registered, and nothing was made from it"
    )
    if session.for_people and found["hidden"]:
        say(f"{found['hidden']} more are in namespaces where you have no role")
    if session.for_people and found["truncated"]:
        say("there are more than are shown: look at the lineage of a version further down")
    for model in found["too_long"]:
        say(f"the stages in {model} are not known: it has too many events for this answer", err=True)


@command(
    group=versions,
    examples="regista versions show churn@production\nregista versions show churn@production --at 2026-03-01",
)
@click.argument("reference", metavar="MODEL@VERSION")
@AT
def show(session: Session, reference: str, moment: str | None) -> None:
    """Show one version with its metadata and its revision; or as it was."""
    with session.client() as client:
        session.one(client.version(reference, moment))


@command(
    group=versions,
    examples="regista versions wait churn@3 --for validated\n"
    "regista versions wait churn@3 --for production --timeout 3600",
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--for", "until", type=GOALS, default="validated", show_default=True)
@TIMEOUT
def wait(session: Session, reference: str, until: Any, timeout: float) -> None:
    """Wait until a version is Validated, or in Production (exit code 0).

    It ends with exit code 3 when a gate blocks the version or it is rejected, and with 6 at the time limit.
    """
    with session.client() as client, session.waiting(f"waiting for {reference} to reach {until}", timeout):
        got = client.wait_for(reference, until, timeout)
    session.one(got, f"{got['model']}@{got['number']} is {got['stage']}")


@command(
    group=versions,
    examples="regista versions download churn@production --to ./model\n"
    "regista versions download churn@production --offline",
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="Copy the files to this new folder; without it they are in the cache only.",
)
@click.option(
    "--offline/--online",
    default=None,
    help="Take it from the cache without a request, or only with the registry's answer. Without either, the "
    "cache is used while the registry does not answer.",
)
def download(session: Session, reference: str, target: Path | None, offline: bool | None) -> None:
    """Download the files of a version, and verify every one against what was registered."""
    if target is not None and target.exists():
        raise click.UsageError(f"{target} exists: name a new folder")
    with (
        session.client(lasting=True) as client,
        session.progress("downloading") as progress,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always", WithdrawnAncestor)
        loaded = client.load(reference, progress=progress, offline=offline)
    for warning in caught:
        say(f"warning: {warning.message}", err=True)
    if target is not None:
        copy_folder(loaded.path, target)
    where = str(target or loaded.path)
    output = {
        "model": loaded.model,
        "number": loaded.number,
        "semver": loaded.semver,
        "digest": loaded.digest,
        "path": where,
        "offline": loaded.offline,
        "confirmed_at": loaded.confirmed_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    session.one(output, f"{loaded.model} {loaded.semver} (number {loaded.number}), verified: {where}")


@command(
    group=versions,
    examples="regista versions evaluate churn@3 auc=0.931 --on march-2026 --data march.parquet\n"
    "regista versions evaluate churn@3 loss=0.2 --lower-is-better --on march-2026 --digest sha256:…",
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.argument("metric", metavar="NAME=VALUE")
@click.option("--on", "dataset", required=True, metavar="NAME", help="The data set it was measured on.")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="The data set (a file or folder); its digest is computed here.",
)
@click.option(
    "--digest", help="The digest of the data set; with --data it is checked, and recorded as it is."
)
@click.option(
    "--definition", help="The definition of the metric; only metrics with equal definitions are compared."
)
@click.option("--lower-is-better", is_flag=True)
@click.option("--independent", is_flag=True, help="Measured by others than the creator of the version.")
def evaluate(
    session: Session,
    reference: str,
    metric: str,
    dataset: str,
    data: Path | None,
    digest: str | None,
    definition: str | None,
    lower_is_better: bool,
    independent: bool,
) -> None:
    """Record a metric measured on a named data set."""
    from regista.publishing.data_digest import dataset_digest  # noqa: PLC0415

    if data is None and digest is None:
        raise click.UsageError("name the data with --data FILE, or its digest with --digest")
    ((name, value),) = pairs([metric], "metric").items()
    evaluation = {
        "name": name,
        "value": _number(value),
        "dataset_name": dataset,
        "dataset_digest": dataset_digest((data,) if data else (), digest or ""),
        "higher_is_better": not lower_is_better,
        "independent": independent,
    }
    if definition:
        evaluation["definition"] = definition
    with session.client() as client:
        session.one(
            client.evaluate(reference, evaluation), f"recorded {name} = {value} on {dataset} for {reference}"
        )


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number") from None


@command(
    group=versions,
    examples="regista versions complete churn@4 --metadata rest.json\n"
    "regista versions complete churn@4 --metadata rest.json --if-revision 2",
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.option(
    "--metadata", required=True, type=click.File("rb"), help="JSON: training, schema, artifact, parents."
)
@IF_REVISION
def complete(session: Session, reference: str, metadata: BinaryIO, expected: int | None) -> None:
    """Add to a draft what it lacks. A complete draft gets its semantic version."""
    content = read_json(metadata.read(), "--metadata")
    with session.client() as client:
        session.one(client.complete(reference, content, expected=expected))


@command(group=versions, examples='regista versions retire churn@2 --reason "registered by mistake"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def retire(session: Session, reference: str, reason: str) -> None:
    """Retire a version that nothing needs. Its tombstone stays; its files are deleted when no other has them.

    It is refused with everything that needs the version: production, a rollout, an alias, a legal hold,
    others that were made from it.
    """
    with session.client() as client:
        session.one(client.retire_version(reference, reason), f"retired {reference}")


@command(group=versions, examples="regista versions gates churn@3\nregista versions gates churn@3 --again")
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--again", is_flag=True, help="Evaluate them again first.")
def gates(session: Session, reference: str, again: bool) -> None:
    """Show the result of each gate for a version, and why it is blocked."""
    with session.client() as client:
        version = client.version(reference)
        model, number = version["model"], version["number"]
        found = client.evaluate_gates(model, number) if again else client.gates(model, number)
    if session.json:
        session.out(found)
        return
    if found.get("waits_for") and session.for_people:
        say(f"waits for: {', '.join(found['waits_for'])}")
    results = [
        {"stage": evaluated["stage"]} | result
        for evaluated in found.get("gates", ())
        for result in evaluated["results"]
    ]
    session.items(
        results,
        [("for", "stage"), ("gate", "gate"), ("passed", "passed"), ("detail", "detail")],
        "no gate was evaluated yet",
    )


@command(group=versions, examples="regista versions refused churn")
@click.argument("model", required=False)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def refused(session: Session, model: str | None, limit: int) -> None:
    """List refused registrations, with every reason."""
    with session.client() as client:
        found = client.refusals(limit, model=model)
    columns = [
        ("when", lambda r: to_the_second(r.get("refused_at"))),
        ("model", "model"),
        ("of", "refused_of"),
        ("problems", _problems),
    ]
    session.items(found, columns, "nothing was refused", limit)


def _problems(item: Mapping[str, Any]) -> str:
    return "; ".join(f"{p.get('field')}: {p.get('problem')}" for p in item.get("problems", ()))
