"""Who held which role at a moment, also through a group of an issuer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.audit.domain.independence import appointers, related
from services.audit.domain.links import linked
from services.audit.domain.rights import mapped_roles, rights
from shared.deciding.links import subject_of_login

T = datetime(2026, 3, 1, tzinfo=UTC)
MAPPED = {"group": "board", "role": "approver", "namespace": "fraud", "by": "root"}


def events(*found: tuple[str, int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Events with type, minute and data, as the API shows them."""
    return [
        {
            "type": type_,
            "recorded_at": T + timedelta(minutes=minute),
            "data": data,
            "actor": {"subject": "u-1"},
            "leaf_index": minute,
            **dict.fromkeys(("event_id", "service", "stream", "revision", "fault")),
        }
        for type_, minute, data in found
    ]


def seen(*groups: str, by: tuple[str, ...] = ("root",)) -> dict[str, Any]:
    return {"subject": "u-1", "issuer": "k", "groups": list(groups), "appointed_by": list(by)}


ISSUER = events(
    ("IssuerTrusted", 0, {}),
    ("GroupMapped", 2, MAPPED),
    ("GroupMapped", 3, MAPPED | {"role": "admin", "by": "u-1"}),
    ("GroupMapped", 4, MAPPED | {"role": "auditor", "by": "hugo"}),
    ("GroupUnmapped", 20, MAPPED),
    ("GroupMapped", 30, MAPPED),
    ("IssuerDistrusted", 40, {}),
    ("IssuerTrusted", 50, {}),
)
PERSON = events(
    ("IdentityCreated", 1, {"subject": "u-1", "kind": "person"}),
    ("SignedIn", 5, seen("board")),
    ("SignedIn", 60, seen()),
)


@pytest.mark.parametrize(
    ("minute", "held"),
    [
        (1, []),
        (4, []),
        (5, ["approver"]),
        (20, []),
        (30, ["approver"]),
        (40, []),
        (50, ["approver"]),
        (60, []),
    ],
)
def test_a_role_of_a_group_was_held_while_sign_in_mapping_and_trust_gave_it(minute: int, held: list[str]):
    at = T + timedelta(minutes=minute)
    found = rights(PERSON, at, {"k": mapped_roles(ISSUER, at)})
    assert found is not None
    assert [one["role"] for one in found["roles"]] == held
    assert all(set(one) == {"role", "namespace", "group", "granted"} for one in found["roles"])
    assert all(one["group"] == "board" for one in found["roles"])


def test_who_trusted_the_issuer_and_mapped_the_group_appointed_the_person():
    assert appointers(PERSON) == [("u-1", "created"), ("root", "granted")]
    assert appointers(PERSON, 2) == [("u-1", "created")]


LINKED = events(
    ("IdentityCreated", 1, {"subject": "u-1", "kind": "person"}),
    ("IdentityLinked", 2, {"other": "ann"}),
    ("IdentityLinked", 2, {"other": "octocat", "login": True}),
    ("IdentityUnlinked", 10, {"other": "ann"}),
)


@pytest.mark.parametrize(
    ("minute", "others"), [(1, []), (2, ["ann", "octocat"]), (9, ["ann", "octocat"]), (10, ["octocat"])]
)
def test_links_count_from_when_they_were_recorded_until_they_were_removed(minute: int, others: list[str]):
    at = T + timedelta(minutes=minute)
    found = rights(LINKED, at) or {}
    assert [one["other"] for one in found["links"]] == others
    assert linked("u-1", {"u-1": LINKED}, minute) == others


def test_a_person_is_read_with_the_streams_of_all_logins_that_were_ever_linked():
    assert related(LINKED) == {"u-1", "ann", subject_of_login("octocat")}


def test_an_event_that_is_not_sealed_yet_is_behind_all_that_are():
    late = [LINKED[1] | {"leaf_index": None}]
    assert linked("u-1", {"u-1": late}, 2**62) == []
    assert linked("u-1", {"u-1": late}) == ["ann"]


JOB = {"trust_id": "t-1", "started_by": "octocat", "claims": {}}
PUBLISHER = events(
    ("IdentityCreated", 1, {"subject": "ci", "kind": "publisher"}),
    ("TrustAdded", 2, {"trust_id": "t-1", "issuer": "https://x", "claims": [], "namespaces": ["fraud"]}),
    ("KeyIssued", 3, {"key_id": "k", "algorithm": "ed25519", "job": JOB}),
    ("KeyIssued", 3, {"key_id": "own", "algorithm": "ed25519", "job": None}),
    ("TrustRemoved", 10, {"trust_id": "t-1"}),
)


@pytest.mark.parametrize(
    ("minute", "trusts", "keys"), [(1, [], []), (5, ["t-1"], ["k", "own"]), (10, [], ["own"])]
)
def test_a_trust_and_the_keys_of_its_jobs_count_until_it_is_removed(
    minute: int, trusts: list[str], keys: list[str]
):
    found = rights(PUBLISHER, T + timedelta(minutes=minute))
    assert found is not None
    assert ([one["trust_id"] for one in found["trusts"]], [one["key_id"] for one in found["keys"]]) == (
        trusts,
        keys,
    )


def test_a_live_key_names_the_issuer_whose_groups_counted_for_it():
    issued = events(
        ("IdentityCreated", 1, {"subject": "u-1", "kind": "person"}),
        ("KeyIssued", 3, {"key_id": "granted-only"}),
        ("KeyIssued", 3, {"key_id": "with-groups", "issuer": "k"}),
    )
    found = rights(issued, T + timedelta(minutes=3)) or {}
    assert {one["key_id"]: one["issuer"] for one in found["keys"]} == {"granted-only": "", "with-groups": "k"}


def test_who_added_a_trust_appointed_the_publisher():
    assert ("u-1", "keyed") in appointers(PUBLISHER, 2)
