"""Write what Regista needs as a shell script of Kafka's own tools. It contains no password."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from services.kafka.apply import ITERATIONS
from services.kafka.found import Parts
from services.kafka.needs import Grant, Needs
from services.kafka.topics import Topic

_HEAD = """#!/bin/sh
# What Regista needs of a Kafka cluster, written by `regista kafka plan --format kafka-acls`.
# It creates and adds, and deletes nothing. Run it again after a failure, and as often as you like.
# {afterwards}
#
#   BOOTSTRAP       host:port of the cluster
#   COMMAND_CONFIG  the properties file with which the administrator connects{passwords}
#   KAFKA_BIN       the folder of Kafka's programs, if they are not on PATH
set -eu
: "${{BOOTSTRAP:?set it to host:port of the cluster}}"
: "${{COMMAND_CONFIG:?set it to the properties file of the administrator}}"
{needed}
if [ -n "${{KAFKA_BIN:-}}" ]; then PATH="$KAFKA_BIN:$PATH"; fi

run() {{  # run TOOL ARGUMENTS…: some distributions name the programs without .sh
    tool=$1
    shift
    if ! command -v "$tool" > /dev/null 2>&1; then tool=$tool.sh; fi
    "$tool" --bootstrap-server "$BOOTSTRAP" --command-config "$COMMAND_CONFIG" "$@"
}}
"""
_PASSWORDS = """
#   PASSWORDS       a folder with the password of each user, in a file of the user's name"""
_USER = """
# One file for one password at a time, because other users of the machine see the arguments of a program.
umask 077
config=$(mktemp)
trap 'rm -f "$config"' EXIT
trap 'exit 1' HUP INT TERM

user() {{  # user NAME: create the user, or set its password to that of its file
    password=$(cat "$PASSWORDS/$1")
    case $password in
        '' | *[!A-Za-z0-9_.~+/=-]*)
            echo "$PASSWORDS/$1: use letters, digits and _ . ~ + / = - only" >&2
            exit 1
            ;;
    esac
    printf 'SCRAM-SHA-512=iterations={iterations},password=%s\\n' "$password" > "$config"
    run kafka-configs --alter --entity-type users --entity-name "$1" --add-config-file "$config"
}}
"""
_OPTION = {"TOPIC": "--topic", "GROUP": "--group", "TRANSACTIONAL_ID": "--transactional-id"}
_KEEP = ("cleanup.policy", "retention.ms")
"""Settings that an existing topic gets, too: with others it would lose messages."""


def script(needs: Needs, parts: Parts) -> str:
    """Return the script. Existing topics keep partitions, copies and every setting that loses nothing."""
    head = _HEAD.format(
        afterwards="`regista kafka plan` compares a cluster afterwards.",
        passwords=_PASSWORDS if parts.users else "",
        needed=': "${PASSWORDS:?set it to the folder of the passwords}"' if parts.users else ":",
    )
    lines = [head.replace("\n:\n", "\n"), *_topics(needs.topics)]
    if parts.users:
        lines += [_USER.format(iterations=ITERATIONS), *(_line("user", user) for user in needs.users)]
    if parts.acls:
        lines += ["", *_acls(needs.grants)]
    if parts.quotas:
        lines += ["", *_quotas(needs.quotas)]
    return "\n".join(lines) + "\n"


def _topics(topics: Iterable[Topic]) -> Iterator[str]:
    for topic in topics:
        copies = ("--replication-factor", str(topic.replication)) if topic.replication else ()
        settings = [word for name, value in topic.settings for word in ("--config", f"{name}={value}")]
        partitions = ("--partitions", str(topic.partitions))
        create = ("--create", "--if-not-exists", "--topic", topic.name, *partitions, *copies)
        yield _line("run", "kafka-topics", *create, *settings)
    yield ""
    for topic in topics:
        kept = [
            *_KEEP,
            *(name for name, value in topic.settings if (name, value) == ("retention.bytes", "-1")),
        ]
        added = ",".join(f"{name}={value}" for name, value in topic.settings if name in kept)
        entity = ("--entity-type", "topics", "--entity-name", topic.name)
        yield _line("run", "kafka-configs", "--alter", *entity, "--add-config", added)


def _acls(grants: Iterable[Grant]) -> Iterator[str]:
    """Yield a line for all resources on which a user may do the same: each line starts a program."""
    operations: dict[tuple[str, str, str, str], list[str]] = {}
    for grant in sorted(grants):
        one = (grant.user, grant.kind, grant.pattern, grant.name)
        operations.setdefault(one, []).append(grant.operation.capitalize())
    names: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (user, kind, pattern, name), may in operations.items():
        names.setdefault((user, kind, pattern, tuple(may)), []).append(name)
    for (user, kind, pattern, allowed), on in names.items():
        words = [word for operation in allowed for word in ("--operation", operation)]
        resources = [word for name in on for word in (_OPTION[kind], name)]
        principal = ("--allow-principal", f"User:{user}")
        pattern_type = ("--resource-pattern-type", pattern.lower())
        yield _line("run", "kafka-acls", "--add", *principal, *words, *resources, *pattern_type)


def _quotas(quotas: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for user, limits in quotas.items():
        added = ",".join(f"{name}={value:.0f}" for name, value in limits.items())
        entity = ("--entity-type", "users", "--entity-name", user)
        yield _line("run", "kafka-configs", "--alter", *entity, "--add-config", added)


def _line(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)
