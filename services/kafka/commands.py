"""`regista kafka plan` and `regista kafka apply`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal
from regista.errors import RegistaError
from services.kafka.options import needs_and_cluster

if TYPE_CHECKING:
    from services.kafka.apply import Failed
    from services.kafka.connection import Connection
    from services.kafka.found import Parts
    from services.kafka.needs import Needs
    from services.kafka.plan import Plan, Step

COLUMNS = [
    ("what", "kind"),
    ("name", "name"),
    ("state", "state"),
    ("needed", "needed"),
    ("found", "found"),
    ("remark", "note"),
]


class ExitsWithOne(click.Command):
    """A command whose wrong usage ends with 1, because its 2 means that something is missing."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as wrong:
            raise _wrong_usage(wrong) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as wrong:
            raise _wrong_usage(wrong) from None
        except RegistaError as error:
            error.exit_code = RegistaError.exit_code
            raise


def _wrong_usage(wrong: click.UsageError) -> RegistaError:
    path = wrong.ctx.command_path if wrong.ctx else "regista kafka"
    return RegistaError("wrong_usage", wrong.format_message(), advice=f"`{path} --help` shows the usage.")


@click.group(
    epilog="Example: regista kafka plan --bootstrap kafka:9093 --user admin --password-file admin.txt"
)
def kafka() -> None:
    """Give a Kafka of your own the topics, users and permissions that Regista needs."""


@command(
    group=kafka,
    cls=ExitsWithOne,
    examples="regista kafka plan --bootstrap kafka:9093 --user admin --password-file admin.txt\n"
    "regista kafka plan --bootstrap kafka:9093 --publisher fraud-ci=fraud --no-users --json\n"
    "regista kafka plan --format kafka-acls > kafka.sh\n"
    "regista kafka plan --format strimzi --strimzi-cluster events | kubectl apply -n kafka -f -",
)
@needs_and_cluster
@click.option(
    "--format",
    "file",
    type=click.Choice(["kafka-acls", "strimzi"]),
    help="Write all that is needed, without a cluster: a shell script of Kafka's tools, or resources.",
)
@click.option("--strimzi-cluster", default="kafka", show_default=True, help="The name of the Kafka resource.")
@click.option(
    "--strimzi-api",
    type=click.Choice(["v1beta2", "v1"]),
    default="v1beta2",
    show_default=True,
    help="Its version.",
)
def plan(
    session: Session,
    needs: Needs,
    parts: Parts,
    connect: Callable[[], Connection],
    file: str | None,
    strimzi_cluster: str,
    strimzi_api: str,
) -> None:
    """Compare a cluster with what Regista needs. Nothing is changed.

    \b
    Exit codes, as of `terraform plan -detailed-exitcode`:
      0  nothing is missing
      2  something is missing
      1  an error, wrong usage, or a part that could not be read (and nothing else is missing)
    """  # noqa: D301 - \b keeps click from wrapping the lines
    if file:
        if session.format:
            raise click.UsageError("give --format or the output format of the comparison")
        say(_file(file, needs, parts, strimzi_cluster, strimzi_api), nl=False)
        return
    found = _compared(connect(), needs, parts)
    _show(session, found)
    sys.exit(found.exit_code)


def _file(form: str, needs: Needs, parts: Parts, cluster: str, version: str) -> str:
    from services.kafka.needs import NeedsWrong  # noqa: PLC0415 - imported when a command runs

    if form == "kafka-acls":
        from services.kafka.script import script  # noqa: PLC0415

        return script(needs, parts)
    from services.kafka.strimzi import resources  # noqa: PLC0415

    try:
        return resources(needs, parts, cluster, version)
    except NeedsWrong as wrong:
        raise click.UsageError(str(wrong)) from None


@command(
    group=kafka,
    cls=ExitsWithOne,
    examples="regista kafka apply --bootstrap kafka:9093 --user admin --passwords secrets\n"
    "regista kafka apply --bootstrap kafka:9093 --no-users --yes\n"
    "regista kafka apply --bootstrap kafka:9093 --passwords secrets --set-password reader",
)
@needs_and_cluster
@click.option(
    "--passwords",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder with the password of each user, in a file of its name. Missing ones are generated.",
)
@click.option(
    "--set-password",
    "set_passwords",
    multiple=True,
    metavar="USER",
    help="Give an existing user the password of its file. May be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def apply(
    session: Session,
    needs: Needs,
    parts: Parts,
    connect: Callable[[], Connection],
    passwords: Path | None,
    set_passwords: tuple[str, ...],
    yes: bool,
) -> None:
    """Show what is missing in a cluster, and add it after a confirmation.

    Nothing is deleted: no topic, message, user or permission. Partitions, retention and limits are only
    raised; existing passwords stay. After a failure or a kill, repeat it: what is done stays, the rest
    follows.

    Exit codes: 0 nothing is missing any more, 2 something is (a person has to change it), 1 a step failed.
    """
    if unknown := [user for user in set_passwords if user not in needs.users]:
        raise click.UsageError(f"--set-password {unknown[0]!r} is no user: {', '.join(needs.users)}")
    if set_passwords and not parts.users:
        raise click.UsageError("give --set-password or --no-users")
    connection = connect()
    before = _compared(connection, needs, parts, set_passwords)
    if not before.steps:
        _show(session, before)
        sys.exit(before.exit_code)
    if session.for_people:
        _show(session, before)
    _check_passwords(before, passwords)
    if not yes:
        if session.format or not on_a_terminal():
            raise click.UsageError(
                "no one can answer here: read `regista kafka plan`, then repeat with --yes"
            )
        confirm(f"Make {len(before.steps)} changes on {connection.properties['bootstrap.servers']}?")
    failed, after = _applied(connection, needs, parts, before.steps, passwords)
    _report(session, len(before.steps), failed, after)
    sys.exit(1 if failed else after.exit_code)


def _check_passwords(plan: Plan, folder: Path | None) -> None:
    from services.kafka.plan import SetPassword  # noqa: PLC0415

    if folder is None and (users := [step.user for step in plan.steps if isinstance(step, SetPassword)]):
        raise click.UsageError(
            f"the users {', '.join(users)} need passwords: give --passwords FOLDER (missing files are"
            " generated), or --no-users"
        )


def _compared(connection: Connection, needs: Needs, parts: Parts, new: Sequence[str] = ()) -> Plan:
    from services.kafka.cluster import read  # noqa: PLC0415
    from services.kafka.connection import ClusterError  # noqa: PLC0415
    from services.kafka.plan import compare  # noqa: PLC0415

    try:
        return compare(needs, read(connection, needs, parts), new)
    except ClusterError as error:
        raise _unreachable(error) from None


def _applied(
    connection: Connection, needs: Needs, parts: Parts, steps: Sequence[Step], folder: Path | None
) -> tuple[list[Failed], Plan]:
    from services.kafka.apply import applied  # noqa: PLC0415
    from services.kafka.apply import apply as carry_out  # noqa: PLC0415
    from services.kafka.connection import ClusterError  # noqa: PLC0415
    from services.kafka.passwords import password_of  # noqa: PLC0415

    try:
        failed = carry_out(connection, steps, lambda user: password_of(folder or Path(), user))
        done = [step for step in steps if step not in {one.step for one in failed}]
        return failed, applied(connection, needs, parts, done)
    except ClusterError as error:
        raise _unreachable(error) from None


def _unreachable(error: Exception) -> RegistaError:
    return RegistaError("kafka_unavailable", str(error), advice="Correct the connection, then repeat.")


def _show(session: Session, plan: Plan) -> None:
    if session.json:
        session.out(_as_data(plan))
        return
    items = [_as_item(one) for one in plan.differences]
    session.items(items, COLUMNS, "Nothing is missing.")
    if session.for_people and items:
        say(_summary(plan), err=True)


def _summary(plan: Plan) -> str:
    counts = {
        "to add or correct by `regista kafka apply`": len(plan.steps),
        "to change by hand": plan.count("by hand"),
        "not readable": plan.count("unknown"),
        "more than needed, which stays": plan.count("superfluous"),
    }
    shown = [f"{number} {what}" for what, number in counts.items() if number]
    return "; ".join(shown) + "." if shown else "Nothing is missing."


def _report(session: Session, steps: int, failed: Sequence[Failed], after: Plan) -> None:
    if session.json:
        shown = [{"step": asdict(one.step), "reason": one.reason} for one in failed]
        session.out({"applied": steps - len(failed), "failed": shown, "after": _as_data(after)})
        return
    for one in failed:
        say(f"failed: {_described(one.step)}: {one.reason}", err=True, fg="red")
    say(f"{steps - len(failed)} of {steps} changes are made. Now: {_summary(after)}", err=True)
    if failed:
        say("  → Remove the causes, then repeat: what is made stays.", err=True)


def _described(step: Step) -> str:
    return f"{type(step).__name__} {', '.join(str(value) for value in asdict(step).values())}"


def _as_data(plan: Plan) -> dict[str, Any]:
    return {
        "exit_code": plan.exit_code,
        "to_apply": len(plan.steps),
        "by_hand": plan.count("by hand"),
        "unknown": plan.count("unknown"),
        "superfluous": plan.count("superfluous"),
        "differences": [_as_item(one) for one in plan.differences],
    }


def _as_item(one: Any) -> dict[str, str]:
    return {
        "kind": one.kind,
        "name": one.name,
        "state": one.state,
        "needed": one.needed,
        "found": one.found,
        "note": one.note,
    }
