"""How a cluster differs from what is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.kafka.found import Found, FoundAcl, FoundTopic
from services.kafka.needs import Grant, Needs
from services.kafka.plan import (
    ChangeSettings,
    CreateTopic,
    Difference,
    Permit,
    Plan,
    RaisePartitions,
    SetPassword,
    SetQuota,
    compare,
)
from services.kafka.topics import TRAINING, USAGE
from shared.foundation.topics import dlq_of, topic_of

NEEDS = Needs(("pipeline",), ("reader",))
EVENTS = topic_of("registry")


def whole(needs: Needs = NEEDS, brokers: int = 1) -> Found:
    """A cluster with all that is needed."""
    copies = min(3, brokers)
    topics = {
        topic.name: FoundTopic(topic.partitions, copies, dict(topic.settings))
        for topic in replace(needs, replication=needs.replication or copies).topics
    }
    acls = frozenset(FoundAcl(g.user, g.kind, g.name, g.operation, g.pattern) for g in needs.grants)
    users = dict.fromkeys(needs.users, frozenset({"SCRAM-SHA-512"}))
    return Found(brokers, topics, users, acls, needs.quotas)


def with_topic(name: str, **changes: Any) -> Found:
    found = whole()
    return replace(found, topics={**found.topics, name: replace(found.topics[name], **changes)})


def with_setting(topic: str, setting: str, value: str | None) -> Found:
    settings = {**(whole().topics[topic].settings or {}), setting: value}
    return with_topic(topic, settings={name: v for name, v in settings.items() if v is not None})


def with_acls(*acls: FoundAcl, without: tuple[FoundAcl, ...] = ()) -> Found:
    found = whole()
    return replace(found, acls=((found.acls or frozenset()) - set(without)) | set(acls))


def only(plan: Plan) -> Difference:
    (difference,) = plan.differences
    return difference


@pytest.mark.parametrize("brokers", [1, 2, 3, 6])
def test_a_cluster_with_all_that_is_needed_differs_in_nothing(brokers: int) -> None:
    plan = compare(NEEDS, whole(brokers=brokers))
    assert (plan.differences, plan.exit_code) == ((), 0)


def test_an_empty_cluster_lacks_everything() -> None:
    plan = compare(NEEDS, Found(3, {}, {}, frozenset(), {}))
    made = {
        kind: [s for s in plan.steps if isinstance(s, kind)] for kind in (CreateTopic, SetPassword, Permit)
    }
    assert {step.topic.name for step in made[CreateTopic]} == {topic.name for topic in NEEDS.topics}
    assert {step.topic.replication for step in made[CreateTopic]} == {3}
    assert {step.user for step in made[SetPassword]} == set(NEEDS.users)
    assert {step.grant for step in made[Permit]} == NEEDS.grants
    assert len([s for s in plan.steps if isinstance(s, SetQuota)]) == 2
    assert plan.exit_code == 2


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        (EVENTS, "retention.ms", "604800000"),
        (EVENTS, "retention.bytes", "1073741824"),
        (EVENTS, "cleanup.policy", "compact"),
        (EVENTS, "cleanup.policy", "compact,delete"),
        (EVENTS, "max.message.bytes", "1048588"),
        (dlq_of(EVENTS), "retention.bytes", "1000"),
        (dlq_of(EVENTS), "retention.ms", "1"),
    ],
)
def test_a_setting_that_loses_or_refuses_messages_is_corrected(topic: str, setting: str, value: str) -> None:
    plan = compare(NEEDS, with_setting(topic, setting, value))
    needed = dict(next(t for t in NEEDS.topics if t.name == topic).settings)[setting]
    assert plan.steps == (ChangeSettings(topic, ((setting, needed),)),)
    assert (only(plan).found, plan.exit_code) == (value, 2)


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        (TRAINING, "max.message.bytes", "8388608"),
        (dlq_of(EVENTS), "retention.bytes", "-1"),
        (dlq_of(EVENTS), "retention.bytes", "1073741824"),
    ],
)
def test_a_setting_that_keeps_or_accepts_more_stays(topic: str, setting: str, value: str) -> None:
    plan = compare(NEEDS, with_setting(topic, setting, value))
    assert (only(plan).state, plan.steps, plan.exit_code) == ("superfluous", (), 0)


def test_a_setting_that_the_cluster_does_not_show_is_unknown() -> None:
    plan = compare(NEEDS, with_setting(EVENTS, "retention.ms", None))
    assert (only(plan).state, plan.exit_code) == ("unknown", 1)


def test_settings_that_may_not_be_read_are_unknown_and_named() -> None:
    found = replace(with_topic(EVENTS, settings=None), unread={f"settings of {EVENTS}": "refused"})
    plan = compare(NEEDS, found)
    assert (only(plan).state, only(plan).name, plan.exit_code) == ("unknown", f"settings of {EVENTS}", 1)


def test_a_topic_that_may_not_be_read_is_not_missing() -> None:
    found = whole()
    topics = {name: topic for name, topic in found.topics.items() if name != EVENTS}
    plan = compare(NEEDS, replace(found, topics=topics, unread={f"topic {EVENTS}": "refused"}))
    assert (plan.steps, plan.exit_code) == ((), 1)


def test_partitions_are_raised_while_a_topic_was_never_written() -> None:
    plan = compare(NEEDS, with_topic(EVENTS, partitions=1, used=False))
    assert plan.steps == (RaisePartitions(EVENTS, 4),)


def test_partitions_of_a_topic_with_messages_are_raised_by_hand_only() -> None:
    plan = compare(NEEDS, with_topic(EVENTS, partitions=1, used=True))
    assert (only(plan).state, plan.steps, plan.exit_code) == ("by hand", (), 2)
    assert "--partitions 1" in only(plan).note


def test_more_partitions_and_copies_than_needed_are_no_difference() -> None:
    assert compare(NEEDS, with_topic(EVENTS, partitions=12, replication=3)).differences == ()


def test_too_few_copies_are_shown_and_stay() -> None:
    found = replace(whole(), brokers=3)
    plan = compare(NEEDS, found)
    assert {(d.state, d.needed, d.found) for d in plan.differences} == {("by hand", "3 copies", "1")}
    assert plan.steps == ()
    assert compare(replace(NEEDS, replication=1), found).differences == ()


def test_a_topic_with_one_copy_gets_no_rule_of_two() -> None:
    assert not [s for s in compare(NEEDS, replace(whole(), brokers=3)).steps if isinstance(s, ChangeSettings)]


def test_two_of_three_copies_have_to_be_written() -> None:
    found = whole(brokers=3)
    one = replace(
        found.topics[EVENTS], settings={**(found.topics[EVENTS].settings or {}), "min.insync.replicas": "1"}
    )
    plan = compare(NEEDS, replace(found, topics={**found.topics, EVENTS: one}))
    assert plan.steps == (ChangeSettings(EVENTS, (("min.insync.replicas", "2"),)),)


def test_a_topic_that_is_not_needed_any_more_stays() -> None:
    plan = compare(NEEDS, replace(whole(), topics={**whole().topics, f"{USAGE}.old": FoundTopic(4, 1, {})}))
    assert (only(plan).state, only(plan).name, plan.exit_code) == ("superfluous", f"{USAGE}.old", 0)


def test_a_missing_permission_is_added() -> None:
    missing = FoundAcl("registry", "TOPIC", TRAINING, "READ", "LITERAL")
    plan = compare(NEEDS, with_acls(without=(missing,)))
    assert plan.steps == (Permit(Grant("registry", "TOPIC", TRAINING, "READ")),)


def test_a_wider_permission_does_not_replace_the_needed_one_and_is_superfluous() -> None:
    wide = FoundAcl("registry", "TOPIC", "regista.", "ALL", "PREFIXED")
    needed = FoundAcl("registry", "TOPIC", TRAINING, "READ", "LITERAL")
    plan = compare(NEEDS, with_acls(wide, without=(needed,)))
    assert [d.state for d in plan.differences] == ["missing", "superfluous"]


def test_a_permission_from_some_hosts_only_stays() -> None:
    needed = FoundAcl("registry", "TOPIC", TRAINING, "READ", "LITERAL")
    plan = compare(NEEDS, with_acls(replace(needed, host="10.0.0.1"), without=(needed,)))
    assert (only(plan).state, plan.exit_code) == ("note", 0)
    assert "10.0.0.1" in only(plan).note


@pytest.mark.parametrize(
    "acl",
    [
        FoundAcl("registry", "TOPIC", TRAINING, "READ", "LITERAL", allow=False),
        FoundAcl("registry", "TOPIC", TRAINING, "ALL", "LITERAL", allow=False),
        FoundAcl("registry", "TOPIC", TRAINING, "DESCRIBE", "LITERAL", allow=False),
        FoundAcl("*", "TOPIC", "*", "READ", "LITERAL", "10.0.0.1", allow=False),
        FoundAcl("registry", "TOPIC", "regista.tr", "READ", "PREFIXED", allow=False),
        FoundAcl("registry", "GROUP", "registry.regista.training.v1", "READ", "LITERAL", allow=False),
    ],
)
def test_a_prohibition_of_what_is_needed_is_shown(acl: FoundAcl) -> None:
    plan = compare(NEEDS, with_acls(acl))
    assert (only(plan).state, plan.steps, plan.exit_code) == ("by hand", (), 2)


@pytest.mark.parametrize(
    "acl",
    [
        FoundAcl("approval", "TOPIC", TRAINING, "WRITE", "LITERAL", allow=False),
        FoundAcl("registry", "TOPIC", "regista.training.v2", "READ", "LITERAL", allow=False),
        FoundAcl("registry", "TOPIC", TRAINING, "DELETE", "LITERAL", allow=False),
        FoundAcl("stranger", "TOPIC", "*", "ALL", "LITERAL"),
        FoundAcl("stranger", "GROUP", "registry", "READ", "PREFIXED"),
    ],
)
def test_what_does_not_concern_regista_is_not_shown(acl: FoundAcl) -> None:
    assert compare(NEEDS, with_acls(acl)).differences == ()


@pytest.mark.parametrize(
    "acl",
    [
        FoundAcl("pipeline", "TOPIC", EVENTS, "WRITE", "LITERAL"),
        FoundAcl("pipeline", "CLUSTER", "kafka-cluster", "ALTER", "LITERAL"),
        FoundAcl("stranger", "TOPIC", EVENTS, "WRITE", "LITERAL"),
        FoundAcl("stranger", "TOPIC", "regista.", "READ", "PREFIXED"),
        FoundAcl("*", "TOPIC", "*", "READ", "LITERAL"),
    ],
)
def test_a_right_that_is_not_needed_is_shown_and_stays(acl: FoundAcl) -> None:
    plan = compare(NEEDS, with_acls(acl))
    assert (only(plan).state, plan.steps, plan.exit_code) == ("superfluous", (), 0)


def test_a_cluster_without_permissions_is_shown() -> None:
    plan = compare(NEEDS, replace(whole(), acls=None, no_authorizer=True))
    assert (only(plan).name, only(plan).state, plan.exit_code) == ("authorizer", "by hand", 2)


def test_parts_that_are_left_out_are_not_compared() -> None:
    plan = compare(NEEDS, replace(whole(), users=None, acls=None, quotas=None))
    assert (plan.differences, plan.exit_code) == ((), 0)


def test_a_part_that_may_not_be_read_is_unknown_and_what_is_missing_counts_more() -> None:
    unread = replace(whole(), users=None, unread={"users": "refused"})
    assert compare(NEEDS, unread).exit_code == 1
    assert compare(NEEDS, replace(unread, topics={})).exit_code == 2


def test_the_password_of_an_existing_user_stays_unless_it_is_named() -> None:
    assert compare(NEEDS, whole()).steps == ()
    assert compare(NEEDS, whole(), ["reader"]).steps == (SetPassword("reader"),)


def test_a_user_with_another_mechanism_may_be_another_applications() -> None:
    found = whole()
    users = {**(found.users or {}), "reader": frozenset({"SCRAM-SHA-256"})}
    plan = compare(NEEDS, replace(found, users=users))
    assert (only(plan).state, plan.steps) == ("by hand", ())
    assert "--user-prefix" in only(plan).note


def test_an_existing_user_without_any_permission_may_be_another_applications() -> None:
    found = whole()
    acls = frozenset(acl for acl in found.acls or () if acl.user != "reader")
    plan = compare(NEEDS, replace(found, acls=acls))
    (note,) = [d for d in plan.differences if d.kind == "user"]
    assert (note.state, note.name) == ("note", "reader")


def test_a_quota_that_was_chosen_stays() -> None:
    plan = compare(NEEDS, replace(whole(), quotas={**NEEDS.quotas, "pipeline": {"producer_byte_rate": 1.0}}))
    assert (only(plan).state, plan.steps, plan.exit_code) == ("note", (), 0)
