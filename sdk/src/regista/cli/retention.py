"""`regista cleanup retention`: how long versions are kept, of a model, of a namespace, or of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from regista.cli.terminal.options import IF_REVISION, OPTIONAL_REASON
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal
from regista.cli.terminal.values import read_json

if TYPE_CHECKING:
    from regista.client.sync_client import Client

PERMANENTLY = "permanently"
WITHOUT_POLICY = {"grace": "none", "keep_newest": "all"}
"""What holds where no policy applies; a duration is `permanently` there."""
DURATIONS = {
    "unused": "Retire a version this long after its last use.",
    "left_production": "… and not before this time since it left Production.",
    "unknown": "Retire a version whose use was never reported this long after its registration.",
    "draft": "Retire a draft this long after its registration.",
    "rejected": "Retire a rejected version this long after its registration.",
    "grace": "The time between the mark and the proposal to retire.",
}
VERDICT_COLUMNS = [
    ("verdict", "verdict"),
    ("why", lambda v: "; ".join(str(r.get("detail", r)) for r in v.get("reasons") or ())),
    ("goes after", lambda v: to_the_second(v.get("delete_after"))),
]
Policy = Mapping[str, Any]


def POLICY_OPTIONS(function: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - used like the options
    """Add an option for each field of a retention policy."""
    for name, help_ in reversed(DURATIONS.items()):
        option = f"--{name.replace('_', '-')}"
        metavar = "DURATION"
        function = click.option(option, name, metavar=metavar, help=f"{help_} 90d, 12h, or {PERMANENTLY}.")(
            function
        )
    return click.option("--keep-newest", type=click.IntRange(0), help="So many usable versions always stay.")(
        function
    )


def policy_of(given: Policy, now: Policy) -> dict[str, Any]:
    """Return the policy `now` with the fields that options name."""
    named = {name: value for name, value in given.items() if value is not None}
    return dict(now) | {name: None if value == PERMANENTLY else value for name, value in named.items()}


def add_to(group: click.Group) -> None:
    """Add the command to the group `cleanup`."""
    group.add_command(retention)


@command(
    examples="regista cleanup retention churn\n"
    "regista cleanup retention churn --unused 180d --keep-newest 5\n"
    "regista cleanup retention churn --inherit\n"
    "regista cleanup retention --namespace fraud --unused 180d --draft 30d\n"
    "regista cleanup retention --everywhere --off\n"
    "regista cleanup retention"
)
@click.argument("model", default="")
@click.option("--namespace", metavar="NAME", help="The policy that models of this namespace inherit.")
@click.option("--everywhere", is_flag=True, help="The policy that all models inherit.")
@POLICY_OPTIONS
@click.option("--set", "file", type=click.File("rb"), help="JSON with the whole new policy.")
@click.option("--inherit", is_flag=True, help="Remove the model's own policy: it inherits one again.")
@click.option("--off", is_flag=True, help="Remove the default of --namespace or --everywhere.")
@IF_REVISION
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@OPTIONAL_REASON
def retention(
    session: Session,
    model: str,
    namespace: str | None,
    file: BinaryIO | None,
    expected: int | None,
    *,
    everywhere: bool,
    inherit: bool,
    off: bool,
    yes: bool,
    reason: str,
    **given: Any,
) -> None:
    """Show or change how long versions are kept. Without a policy nothing is retired.

    A model has its own policy, or inherits that of the nearest namespace, or that of everything. Without
    arguments: the policies that models inherit. A change names the fields that change; it shows the policy
    before and after, and needs a confirmation on a terminal.
    """
    scope = "*" if everywhere else namespace or ""
    if bool(model) + everywhere + bool(namespace) > 1:
        raise click.UsageError("name one of MODEL, --namespace and --everywhere")
    removes, changes = inherit or off, any(value is not None for value in given.values())
    if (inherit and not model) or (off and not scope):
        raise click.UsageError("--inherit belongs to a model, --off to --namespace or --everywhere")
    if removes + changes + (file is not None) > 1:
        raise click.UsageError("give fields, --set, or --inherit or --off")
    if (expected is not None or reason) and not (removes or changes or file):
        raise click.UsageError("--if-revision and --reason belong to a change: name what changes")
    with session.client() as client:
        if not (removes or changes or file):
            _show(session, client, model, scope)
            return
        confirms = not yes and on_a_terminal() and session.for_people
        now, revision = _read(client, model, scope) if changes or confirms else ({}, 0)
        if file is not None:
            new: dict[str, Any] | None = dict(read_json(file.read(), "--set"))
        else:
            new = None if removes else policy_of(given, now)
        if confirms:
            say(_difference(now, new))
            confirm(f"Change how long the versions of {_name(model, scope)} are kept?")
        if changes and expected is None:
            expected = revision  # the fields that are not named are those of this revision
        _report(session, _change(client, model, scope, new, {"expected": expected, "reason": reason}))


def _read(client: Client, model: str, scope: str) -> tuple[dict[str, Any], int]:
    """Return the policy that applies now, and the revision of the one that would change."""
    if model:
        found = client.retention(model)
        return dict(found["policy"]), int(found["revision"])
    for default in client.retention_defaults():
        if default["namespace"] == scope:
            return dict(default["policy"]), int(default["revision"])
    return {}, 0


def _change(
    client: Client, model: str, scope: str, new: Policy | None, how: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Change the policy. `how`: the revision that is expected, and the reason."""
    if not model:
        return client.set_default_retention(scope, new, **how)
    if new is None:
        return client.remove_retention(model, **how)
    return client.set_retention(model, new, **how)


def _show(session: Session, client: Client, model: str, scope: str) -> None:
    if model:
        _show_model(session, client.retention(model), model)
        return
    found = [d for d in client.retention_defaults() if scope in {"", d["namespace"]}]
    columns = [
        ("namespace", "namespace"),
        *((name.replace("_", " "), _field(name)) for name in (*DURATIONS, "keep_newest")),
        ("revision", "revision"),
    ]
    session.items(found, columns, "no default: a model without a policy of its own keeps every version")


def _show_model(session: Session, found: Mapping[str, Any], model: str) -> None:
    if session.json:
        session.out(found)
        return
    source = {"model": "this model", "*": "everything", "": "none: every version is kept"}
    policy = {name: PERMANENTLY if value is None else value for name, value in found["policy"].items()}
    policy |= {"policy of": source.get(found["source"], f"namespace {found['source']}")}
    session.heading(policy | {"revision": found["revision"]})
    columns = [
        ("number", "number"),
        ("version", "semver"),
        ("stage", "stage"),
        ("retired", lambda v: "retired" if v.get("retired") else ""),
        ("uses", "uses"),
        ("last used", lambda v: to_the_second(v.get("last_used_at"))),
        *VERDICT_COLUMNS,
    ]
    versions = [{**version, "model": model} for version in found["versions"]]
    session.items(versions, columns, f"{model} has no versions")


def _report(session: Session, answer: Mapping[str, Any]) -> None:
    name = _name(answer.get("model", ""), answer.get("namespace", ""))
    difference = _difference(answer.get("before"), answer.get("policy"))
    session.one(answer, f"{name}, revision {answer.get('revision')}:\n{difference}")


def _difference(before: Policy | None, after: Policy | None) -> str:
    """Return each field of a policy as it was and as it is."""
    if after is None:
        return "  the policy is removed; the models inherit the next one, if there is one"
    lines = []
    for name in (*DURATIONS, "keep_newest"):
        old, new = _shown(before or WITHOUT_POLICY, name), _shown(after, name)
        lines.append(f"  {name.replace('_', ' ')}: " + (new if old == new else f"{old} → {new}"))
    return "\n".join(lines)


def _shown(policy: Policy, name: str) -> str:
    value = policy.get(name)
    return PERMANENTLY if value is None else str(value)


def _field(name: str) -> Callable[[Policy], str]:
    return lambda default: _shown(default["policy"], name)


def _name(model: str, scope: str) -> str:
    return model or ("all models" if scope == "*" else f"namespace {scope}")
