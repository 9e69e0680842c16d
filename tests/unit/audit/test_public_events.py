"""Who may receive a public event, and which of the newest events a process keeps for its streams."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from regista.wire.event_feed import Partition, Position, is_behind
from services.audit.domain.audience import Audience, about
from services.audit.public_events.locating import Item
from services.audit.public_events.tail import Newest
from shared.deciding.access import AccessState, Grant, grant_key

A, B = "0199a000-0000-7000-8000-00000000000a", "0199a000-0000-7000-8000-00000000000b"
NAMES = {A: "fraud.scoring", B: "crm.churn"}


def with_roles(*namespaces: str) -> AccessState:
    grants = {grant_key("reader", one): Grant("reader", one) for one in namespaces}
    return AccessState("ann", "person", grants=Map(grants))


def receives(
    state: AccessState, type_: str, stream: str, data: dict[str, Any], sharing: tuple[str, ...] = ()
) -> bool:
    return about(f"regista.x.{type_}.v1", stream, data, sharing).audience(NAMES).includes(state)


@pytest.mark.parametrize(
    ("namespaces", "received"),
    [(("fraud",), True), (("crm",), False), (("fraud.scoring",), False), (("*",), True), ((), False)],
)
def test_readers_of_the_namespace_of_the_model_receive_its_events(
    namespaces: tuple[str, ...], received: bool
) -> None:
    data = {"model_id": A, "model": "fraud.scoring", "number": 3}
    assert receives(with_roles(*namespaces), "VersionPromoted", f"model-{A}", data) is received


def test_the_present_name_decides_and_not_the_one_in_the_event() -> None:
    data = {"model_id": A, "model": "crm.scoring", "number": 3}
    assert receives(with_roles("fraud"), "VersionPromoted", f"model-{A}", data)
    assert not receives(with_roles("crm"), "VersionPromoted", f"model-{A}", data)


def test_an_event_of_a_model_without_a_known_name_needs_a_role_everywhere() -> None:
    unknown = "0199a000-0000-7000-8000-00000000000c"
    assert not receives(with_roles("fraud"), "AliasSet", f"model-{unknown}", {"model_id": unknown})
    assert receives(with_roles("*"), "AliasSet", f"model-{unknown}", {"model_id": unknown})


def test_an_event_that_links_two_models_needs_a_role_in_both() -> None:
    data = {"model_id": A, "model": "fraud.scoring", "child_model_id": B, "child_model": "crm.churn"}
    assert not receives(with_roles("fraud"), "ChildLinked", f"model-{A}", data)
    assert receives(with_roles("fraud", "crm"), "ChildLinked", f"model-{A}", data)


def test_a_parent_in_another_namespace_does_not_hide_a_version_from_its_own_readers() -> None:
    data = {"model_id": A, "model": "fraud.scoring", "parents": [{"model_id": B, "number": 1}]}
    assert receives(with_roles("fraud"), "VersionRegistered", f"model-{A}", data)
    assert not receives(with_roles("crm"), "VersionRegistered", f"model-{A}", data)


def test_bytes_that_several_models_share_are_shown_to_the_readers_of_each() -> None:
    data = {"digest": "sha256:ab", "uri": "s3://b/ab", "generation": 1, "size": 3}
    assert receives(with_roles("crm"), "ArtifactVerified", "artifact-ab", data, (A, B))
    assert not receives(with_roles("hr"), "ArtifactVerified", "artifact-ab", data, (A, B))
    assert not receives(with_roles("crm"), "ArtifactVerified", "artifact-ab", data, ())


def test_an_event_about_one_of_the_sharing_models_is_shown_to_its_readers_only() -> None:
    data = {"digest": "sha256:ab", "model_id": A, "number": 1, "uri": "u", "generation": 1, "size": 3}
    assert receives(with_roles("fraud"), "ArtifactReleased", "artifact-ab", data, (A, B))
    assert not receives(with_roles("crm"), "ArtifactReleased", "artifact-ab", data, (A, B))


def test_a_refused_registration_is_shown_to_readers_of_the_name_that_was_asked_for() -> None:
    data = {"model": "fraud.new", "problems": [], "number": 0}
    assert receives(with_roles("fraud"), "RegistrationRefused", "name-fraud.new", data)
    assert not receives(with_roles("crm"), "RegistrationRefused", "name-fraud.new", data)


def test_environments_are_shown_above_and_below_their_namespace_and_policies_to_everyone() -> None:
    environment = {"namespace": "fraud", "name": "staging"}
    for role, shown in (("fraud", True), ("fraud.cards", True), ("crm", False)):
        assert receives(with_roles(role), "EnvironmentCreated", "environment-x", environment) is shown
    of_all = {"namespace": "", "name": "production"}
    assert receives(with_roles("crm"), "EnvironmentCreated", "environment-x", of_all)
    assert receives(with_roles("crm"), "PolicyPublished", "policy-default", {"name": "default"})
    assert not receives(with_roles(), "PolicyPublished", "policy-default", {"name": "default"})


def item(partition: Partition, offset: int, size: int = 1) -> Item:
    when = datetime(2026, 3, 1, tzinfo=UTC)
    return Item(partition, offset, "t", when, frozenset(), Audience(frozenset({"fraud"})), b"x" * size)


PARTITIONS: list[Partition] = [("registry", 0), ("registry", 1), ("approval", 0)]


@given(
    st.lists(st.lists(st.sampled_from(PARTITIONS), max_size=6), max_size=20),
    st.integers(0, 20),
    st.integers(1, 12),
)
def test_items_behind_a_covered_position_are_all_kept(
    batches: list[list[Partition]], reader_at: int, most: int
) -> None:
    """A reader that stopped after some batch misses nothing if the newest items cover the position."""
    newest, end = Newest(most_items=most, most_bytes=10_000), dict.fromkeys(PARTITIONS, 0)
    newest.begin(end)
    position, expected = Position(), list[tuple[Partition, int]]()
    for number, batch in enumerate(batches):
        if number == reader_at:
            position, expected = dict(end), []
        added = []
        for partition in batch:
            added.append(item(partition, end[partition]))
            expected.append((partition, end[partition]))
            end[partition] += 1
        newest.add(added, end)
    kept = [(one.partition, one.offset) for one in newest.after(newest.base, 1_000)]
    assert len(kept) <= most
    if newest.covers(position):
        assert [one for one in kept if one[1] >= position.get(one[0], 0)] == expected
    assert newest.covers(end)
    assert not is_behind(newest.end, end)


def test_large_items_push_older_ones_out() -> None:
    newest = Newest(most_items=100, most_bytes=10)
    newest.begin({("registry", 0): 0})
    newest.add([item(("registry", 0), 0, 6), item(("registry", 0), 1, 6)], {("registry", 0): 2})
    assert [one.offset for one in newest.after(newest.base, 9)] == [1]
    assert not newest.covers({("registry", 0): 0})
    assert newest.covers({("registry", 0): 1})
