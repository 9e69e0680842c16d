"""Compare what Regista needs with what a cluster has. Pure: it reads nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.kafka.found import OURS, Found, FoundAcl, FoundTopic
from services.kafka.needs import REPLICAS, Grant, Needs
from services.kafka.topics import Topic

MECHANISM = "SCRAM-SHA-512"

State = Literal["missing", "wrong", "by hand", "unknown", "superfluous", "note"]
"""missing, wrong: `apply` corrects it. by hand: Regista needs it, and a person has to change it. unknown: the
principal may not read it. superfluous, note: nothing has to change."""


@dataclass(frozen=True, slots=True)
class CreateTopic:
    topic: Topic


@dataclass(frozen=True, slots=True)
class RaisePartitions:
    topic: str
    partitions: int


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    topic: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SetPassword:
    user: str


@dataclass(frozen=True, slots=True)
class Permit:
    grant: Grant


@dataclass(frozen=True, slots=True)
class SetQuota:
    user: str
    limits: tuple[tuple[str, float], ...]


Step = CreateTopic | RaisePartitions | ChangeSettings | SetPassword | Permit | SetQuota


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between what is needed and what there is. `step` corrects it, where `apply` may."""

    kind: Literal["topic", "user", "permission", "quota", "cluster"]
    name: str
    state: State
    needed: str = ""
    found: str = ""
    note: str = ""
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All differences, in the order in which they are applied."""

    differences: tuple[Difference, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """What `apply` does, in order."""
        return tuple(one.step for one in self.differences if one.step is not None)

    def count(self, *states: State) -> int:
        """Return the number of differences in these states."""
        return sum(one.state in states for one in self.differences)

    @property
    def exit_code(self) -> int:
        """0: all that is needed is there. 2: something is missing. 1: not all could be compared."""
        return 2 if self.count("missing", "wrong", "by hand") else 1 if self.count("unknown") else 0


def compare(needs: Needs, found: Found, set_passwords: Iterable[str] = ()) -> Plan:
    """Return how a cluster differs from what is needed. `set_passwords` names users that get a new password.

    Where the number of copies is the cluster's choice, three are needed, or one on each broker of fewer.
    """
    if not needs.replication:
        needs = replace(needs, replication=max(1, min(REPLICAS, found.brokers)))
    return Plan(
        (
            *_topics(needs, found),
            *_users(needs, found, frozenset(set_passwords)),
            *_permissions(needs, found),
            *_quotas(needs, found),
            *(Difference("cluster", part, "unknown", note=why) for part, why in found.unread.items()),
        )
    )


# -- topics


def _topics(needs: Needs, found: Found) -> Iterator[Difference]:
    wanted = {topic.name: topic for topic in needs.topics}
    for name, topic in wanted.items():
        there = found.topics.get(name)
        if there is not None:
            yield from _topic(topic, there)
        elif f"topic {name}" not in found.unread:
            needed = f"{topic.partitions} partitions, {topic.replication} copies, {_listed(topic.settings)}"
            yield Difference("topic", name, "missing", needed, "no topic", step=CreateTopic(topic))
    for name in sorted(found.topics.keys() - wanted.keys()):
        note = "no service uses it; it may hold messages of a namespace that had topics of its own"
        yield Difference("topic", name, "superfluous", "", "a topic", note)


def _topic(topic: Topic, there: FoundTopic) -> Iterator[Difference]:
    if there.partitions < topic.partitions:
        needed, has = f"{topic.partitions} partitions", f"{there.partitions}"
        if there.used:
            note = (
                "messages of one key would change their partition and overtake each other: stop the services"
                " and publishers when all groups have read to the end, then run `kafka-topics --alter"
                f" --topic {topic.name} --partitions {topic.partitions}`; or plan with --partitions"
                f" {there.partitions}"
            )
            yield Difference("topic", topic.name, "by hand", needed, has, note)
        else:
            step = RaisePartitions(topic.name, topic.partitions)
            yield Difference("topic", topic.name, "wrong", needed, has, step=step)
    if there.replication < topic.replication:
        note = "move it with kafka-reassign-partitions; or plan with another --replication-factor"
        needed = f"{topic.replication} copies"
        yield Difference("topic", topic.name, "by hand", needed, str(there.replication), note)
    if there.settings is not None:
        yield from _settings(topic, there, there.settings)


def _settings(topic: Topic, there: FoundTopic, settings: Mapping[str, str]) -> Iterator[Difference]:
    for name, needed in topic.settings:
        if name == "min.insync.replicas" and there.replication < REPLICAS:
            continue  # with fewer copies the topic could not be written while one broker restarts
        value = settings.get(name)
        if value is None:
            note = "the cluster does not show this setting"
            yield Difference("topic", topic.name, "unknown", f"{name}={needed}", note=note)
        elif _is_less(name, value, needed):
            step = ChangeSettings(topic.name, ((name, needed),))
            yield Difference("topic", topic.name, "wrong", f"{name}={needed}", value, step=step)
        elif name != "cleanup.policy" and value != needed and name != "min.insync.replicas":
            note = "more than needed"
            if name.startswith("retention"):
                note = "keeps more than needed; lowering it deletes messages"
            yield Difference("topic", topic.name, "superfluous", f"{name}={needed}", value, note)


def _is_less(name: str, value: str, needed: str) -> bool:
    """Return whether a setting loses or refuses what the needed one keeps or accepts."""
    if name == "cleanup.policy":
        return "compact" in value
    if name == "message.timestamp.type":
        return value != needed
    return _amount(value) < _amount(needed)


def _amount(value: str) -> float:
    try:
        number = int(value)
    except ValueError:
        return float("-inf")
    return float("inf") if number == -1 else number


def _listed(settings: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings)


# -- users


def _users(needs: Needs, found: Found, set_passwords: frozenset[str]) -> Iterator[Difference]:
    if found.users is None:
        return
    for user in needs.users:
        mechanisms = found.users.get(user, frozenset())
        step = SetPassword(user)
        if user in set_passwords:
            there = ", ".join(sorted(mechanisms)) or "no user"
            yield Difference("user", user, "wrong", "a new password", there, step=step)
        elif not mechanisms:
            yield Difference("user", user, "missing", MECHANISM, "no user", step=step)
        elif MECHANISM not in mechanisms:
            note = _FOREIGN.format(user)
            yield Difference("user", user, "by hand", MECHANISM, ", ".join(sorted(mechanisms)), note)
        elif found.acls is not None and not any(acl.user == user for acl in found.acls):
            yield Difference("user", user, "note", MECHANISM, MECHANISM, _FOREIGN.format(user))


_FOREIGN = (
    "exists, and its password stays. If it belongs to another application, name Regista's users with"
    " --user-prefix; if it is Regista's, --set-password {} gives it a password"
)

# -- permissions


def _permissions(needs: Needs, found: Found) -> Iterator[Difference]:
    if found.no_authorizer:
        note = "set authorizer.class.name, and allow.everyone.if.no.acl.found=false; or plan with --no-acls"
        has = "none: every user may do everything"
        yield Difference("cluster", "authorizer", "by hand", "one", has, note)
    if found.acls is None:
        return
    needed = {_as_acl(grant): grant for grant in needs.grants}
    hosts = _hosts(found.acls)
    for acl, grant in sorted(needed.items()):
        if acl in found.acls:
            continue
        if allowed := hosts.get(acl):
            note = f"only from {', '.join(sorted(allowed))}; this stays"
            yield Difference("permission", acl.user, "note", described(acl), "", note)
        else:
            yield Difference("permission", acl.user, "missing", described(acl), step=Permit(grant))
    for acl in sorted(found.acls):
        if not acl.allow and any(_denies(acl, grant) for grant in needed.values()):
            note = "denies what is needed: remove it"
            yield Difference("permission", acl.user, "by hand", "", described(acl), note)
        elif acl.allow and _is_superfluous(acl, needs, needed.keys()):
            note = "Regista does not need it"
            yield Difference("permission", acl.user, "superfluous", "", described(acl), note)


def _hosts(acls: Iterable[FoundAcl]) -> dict[FoundAcl, set[str]]:
    """Return the hosts of permissions that are limited to some, by the permission for all hosts."""
    found: dict[FoundAcl, set[str]] = {}
    for acl in acls:
        if acl.allow and acl.host != "*":
            found.setdefault(replace(acl, host="*"), set()).add(acl.host)
    return found


def _as_acl(grant: Grant) -> FoundAcl:
    return FoundAcl(grant.user, grant.kind, grant.name, grant.operation, grant.pattern)


def described(acl: FoundAcl) -> str:
    """Return a permission in words."""
    kind = acl.kind.lower().replace("_", " ")
    name = f"{acl.name}*" if acl.pattern == "PREFIXED" else acl.name
    host = "" if acl.host == "*" else f" from {acl.host}"
    return f"{'' if acl.allow else 'deny '}{acl.operation} {kind} {name}{host}"


def _denies(acl: FoundAcl, grant: Grant) -> bool:
    """Return whether a prohibition covers a needed permission, or a part of it, from any host."""
    operations = {"ALL", grant.operation, "DESCRIBE"}  # without DESCRIBE a client finds no partition
    same = acl.user in {"*", grant.user} and acl.kind == grant.kind and acl.operation in operations
    return same and _overlap(acl, grant.name, prefixed=grant.pattern == "PREFIXED")


def _overlap(acl: FoundAcl, name: str, *, prefixed: bool = False) -> bool:
    """Return whether a permission is about the name, or about one that begins with it."""
    if acl.pattern == "PREFIXED":
        return name.startswith(acl.name) or (prefixed and acl.name.startswith(name))
    return acl.name in {"*", name} or (prefixed and acl.name.startswith(name))


def _is_superfluous(acl: FoundAcl, needs: Needs, needed: Collection[FoundAcl]) -> bool:
    """Return whether a user of Regista may do more than needed, or another user something with its topics.

    Rights of others on all topics of the cluster are the cluster's business; rights of everyone are not.
    """
    if acl.user in needs.users:
        return replace(acl, host="*") not in needed
    if acl.kind != "TOPIC":
        return False
    of_ours = acl.name.startswith(OURS)
    return of_ours or (acl.user == "*" and any(_overlap(acl, topic.name) for topic in needs.topics))


# -- quotas


def _quotas(needs: Needs, found: Found) -> Iterator[Difference]:
    if found.quotas is None:
        return
    for user, limits in needs.quotas.items():
        there = found.quotas.get(user, {})
        if absent := tuple((key, value) for key, value in limits.items() if key not in there):
            step = SetQuota(user, absent)
            yield Difference("quota", user, "missing", _rates(dict(absent)), "", step=step)
        different = {key: there[key] for key in limits if key in there and there[key] != limits[key]}
        if different:
            note = "another quota was chosen; it stays"
            yield Difference("quota", user, "note", _rates(limits), _rates(different), note)


def _rates(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{key}={value:.0f}" for key, value in limits.items())
