"""The options of `regista kafka`: what is needed, and how to reach the cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from regista.errors import NotConfigured
from services.kafka.connection import MECHANISMS, SECURITIES, ClusterError, Connection, properties_of
from services.kafka.found import Parts
from services.kafka.needs import PUBLISHERS, READERS, Needs, NeedsWrong, publishers_of
from services.kafka.topics import PARTITIONS

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_CLUSTER = (
    click.option("--bootstrap", envvar="REGISTA_KAFKA_BOOTSTRAP", metavar="HOST:PORT", help="The cluster."),
    click.option(
        "--security",
        envvar="REGISTA_KAFKA_SECURITY",
        type=click.Choice(SECURITIES),
        help="By default SASL_SSL with --user, else PLAINTEXT.",
    ),
    click.option(
        "--mechanism",
        envvar="REGISTA_KAFKA_MECHANISM",
        type=click.Choice(MECHANISMS),
        default=MECHANISMS[0],
        show_default=True,
        help="How --user authenticates.",
    ),
    click.option("--user", envvar="REGISTA_KAFKA_USER", default="", help="The administrator of the cluster."),
    click.option(
        "--password-file",
        envvar="REGISTA_KAFKA_PASSWORD_FILE",
        type=_FILE,
        help="Its password; or REGISTA_KAFKA_PASSWORD.",
    ),
    click.option(
        "--ca-file",
        envvar="REGISTA_KAFKA_CA_FILE",
        type=_FILE,
        help="The authority of the brokers' certificates, if it is not one of the machine's (PEM).",
    ),
    click.option(
        "--client-config",
        type=_FILE,
        help="Further properties of librdkafka (name=value), for client certificates or OAuth.",
    ),
)
_NEEDS = (
    click.option(
        "--publisher",
        "publishers",
        multiple=True,
        metavar="USER[=NAMESPACE]",
        help="A publisher, of all namespaces or of one with topics of its own. May be repeated."
        f"  [default: {', '.join(PUBLISHERS)}]",
    ),
    click.option(
        "--reader",
        "readers",
        multiple=True,
        metavar="USER",
        help=f"A reader of events. May be repeated.  [default: {', '.join(READERS)}]",
    ),
    click.option("--no-readers", is_flag=True, help="There are no readers."),
    click.option("--user-prefix", default="", help="What stands before the name of each Kafka user."),
    click.option(
        "--principal",
        "principals",
        multiple=True,
        metavar="USER=NAME",
        help="How Kafka calls a service, publisher or reader, if otherwise. May be repeated.",
    ),
    click.option(
        "--partitions",
        type=click.IntRange(1, 1000),
        default=PARTITIONS,
        show_default=True,
        help="Of each topic.",
    ),
    click.option(
        "--replication-factor",
        "replication",
        type=click.IntRange(1, 32767),
        help="Copies of each message.  [default: 3, on fewer brokers as many as there are]",
    ),
    click.option("--no-users", is_flag=True, help="Leave SCRAM users out: something else creates them."),
    click.option("--no-acls", is_flag=True, help="Leave permissions out: something else grants them."),
    click.option("--no-quotas", is_flag=True, help="Leave quotas out."),
)


def needs_and_cluster(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. The command gets `needs`, `parts` and `connect()`, which makes the connection."""

    @functools.wraps(command)
    def run(*inner: Any, **given: Any) -> Any:
        cluster = {name: given.pop(name) for name in _names(_CLUSTER)}
        wanted = {name: given.pop(name) for name in _names(_NEEDS)}
        parts = Parts(*(not wanted.pop(f"no_{part}") for part in ("users", "acls", "quotas")))
        connect = functools.partial(_connection, **cluster)
        return command(*inner, needs=_needs(**wanted), parts=parts, connect=connect, **given)

    made: Callable[..., Any] = run
    for option in reversed((*_CLUSTER, *_NEEDS)):
        made = option(made)
    return made


def _names(options: tuple[Any, ...]) -> list[str]:
    """Return the parameters of options, by adding them to a command."""

    def nothing() -> None:
        """Carry the options."""

    for option in options:
        option(nothing)
    return [str(parameter.name) for parameter in nothing.__click_params__]  # type: ignore[attr-defined]


def _needs(
    publishers: tuple[str, ...],
    readers: tuple[str, ...],
    no_readers: bool,
    user_prefix: str,
    principals: tuple[str, ...],
    partitions: int,
    replication: int | None,
) -> Needs:
    if no_readers and readers:
        raise click.UsageError("give --reader or --no-readers")
    try:
        shared, bound = publishers_of(publishers) if publishers else (PUBLISHERS, {})
        return Needs(
            shared,
            readers or (() if no_readers else READERS),
            bound,
            partitions,
            replication or 0,
            user_prefix,
            dict(map(_principal, principals)),
        )
    except NeedsWrong as wrong:
        raise click.UsageError(str(wrong)) from None


def _principal(text: str) -> tuple[str, str]:
    user, _, name = text.partition("=")
    name = name.removeprefix("User:")
    if not user or not name or not name.isprintable() or name == "*":
        raise click.UsageError(f"--principal {text!r} is not USER=NAME: registry=sa-abc123")
    return user, name


def _connection(
    *,
    bootstrap: str | None,
    security: str | None,
    mechanism: str,
    user: str,
    password_file: Path | None,
    ca_file: Path | None,
    client_config: Path | None,
) -> Connection:
    import os  # noqa: PLC0415 - the password is read when it is needed

    try:
        more = properties_of(client_config) if client_config else {}
        bootstrap = bootstrap or more.get("bootstrap.servers")
        if not bootstrap:
            raise NotConfigured("not_configured", "no cluster is named", advice=_NO_CLUSTER)
        password = os.environ.get("REGISTA_KAFKA_PASSWORD", "")
        if password_file:
            password = password_file.read_text("utf-8").strip()
    except (ClusterError, OSError, UnicodeDecodeError) as wrong:
        raise NotConfigured("not_configured", str(wrong), advice="Correct or replace the file.") from None
    chosen = security or ("SASL_SSL" if user else "PLAINTEXT")
    return Connection(bootstrap, chosen, mechanism, user, password, str(ca_file or ""), more)


_NO_CLUSTER = (
    "Give --bootstrap HOST:PORT (or REGISTA_KAFKA_BOOTSTRAP). What is needed without a cluster:"
    " regista kafka plan --format kafka-acls"
)
