"""Which issuers were trusted at a moment, with which settings, and which roles their groups had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.audit.domain.issuers import issuer_then

T = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = {"issuer": "https://sso.example", "audience": "regista", "algorithms": ["RS256"]}
BOARD = {"group": "board", "role": "approver", "namespace": "fraud"}


def happened(type_: str, minute: int, data: dict[str, Any]) -> dict[str, Any]:
    position = dict.fromkeys(("event_id", "service", "stream", "revision", "leaf_index", "fault"))
    who = {"subject": "root", "method": "api-key:1", "on_behalf_of": None}
    at = T + timedelta(minutes=minute)
    return {"type": type_, "recorded_at": at, "data": data, "actor": who, "reason": type_, **position}


EVENTS = [
    happened("IssuerTrusted", 1, SETTINGS),
    happened("GroupMapped", 2, BOARD),
    happened("GroupMapped", 3, BOARD | {"role": "auditor"}),
    happened("GroupUnmapped", 4, BOARD),
    happened("IssuerTrusted", 5, SETTINGS | {"audience": "regista-2"}),
    happened("IssuerDistrusted", 6, {}),
    happened("IssuerTrusted", 7, SETTINGS),
]


@pytest.mark.parametrize(
    ("minute", "audience", "roles", "ended"),
    [
        (1, "regista", [], False),
        (2, "regista", ["approver"], False),
        (3, "regista", ["approver", "auditor"], False),
        (4, "regista", ["auditor"], False),
        (5, "regista-2", ["auditor"], False),
        (6, "regista-2", ["auditor"], True),
        (7, "regista", ["auditor"], False),
    ],
)
def test_an_issuer_is_what_its_events_made_of_it_until_then(
    minute: int, audience: str, roles: list[str], ended: bool
) -> None:
    found = issuer_then("k", EVENTS, T + timedelta(minutes=minute))
    assert found
    assert (found["key"], found["audience"]) == ("k", audience)
    assert [one["role"] for one in found["groups"]] == roles
    assert (found["ended"] is not None) == ended


def test_there_is_no_issuer_before_it_was_trusted() -> None:
    assert issuer_then("k", EVENTS, T) is None


def test_each_group_names_who_mapped_it_and_why() -> None:
    found = issuer_then("k", EVENTS, T + timedelta(minutes=2))
    assert found
    mapped = found["groups"][0]["mapped"]
    assert (mapped["by"]["subject"], mapped["at"], mapped["reason"]) == (
        "root",
        EVENTS[1]["recorded_at"],
        "GroupMapped",
    )
