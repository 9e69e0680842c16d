"""Keys that an identity issues itself, and how long keys are valid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.registry.access.domain.commands import CreateIdentity, IssueKey, RevokeKey
from shared.deciding.decider import RuleBroken, Unprocessable
from tests.unit.registry.people import decide, house

A, B, C = "a" * 64, "b" * 64, "c" * 64
NOW = datetime(2026, 11, 29, tzinfo=UTC)
ANN = (CreateIdentity("ann", "person"), IssueKey("ann", "k1", "hmac-sha256", A))
OWN = IssueKey("ann", "k2", "hmac-sha256", B, by="ann", valid_days=30, now=NOW)


def test_an_identity_rotates_its_own_key():
    (issued,) = decide(OWN, house(*ANN)["ann"])
    assert issued.expires_at == NOW + timedelta(days=30)
    (revoked,) = decide(RevokeKey("ann", "k1", by="ann"), house(*ANN, OWN)["ann"])
    assert revoked.key_id == "k1"


def test_an_identity_issues_itself_no_third_key():
    third = replace(OWN, key_id="k3", verifier=C)
    with pytest.raises(RuleBroken, match="too_many_own_keys"):
        decide(third, house(*ANN, OWN)["ann"])
    assert decide(third, house(*ANN, OWN, RevokeKey("ann", "k1"))["ann"])
    assert decide(replace(third, by="root"), house(*ANN, OWN)["ann"])


def test_keys_that_expired_do_not_count():
    later = replace(OWN, key_id="k3", verifier=C, now=NOW + timedelta(days=31))
    assert decide(later, house(*ANN, OWN)["ann"])


def test_an_own_key_is_not_valid_longer_than_keys_are():
    with pytest.raises(Unprocessable, match="key_too_long"):
        decide(replace(OWN, expires_at=NOW + timedelta(days=31)), house(*ANN)["ann"])
    (issued,) = decide(replace(OWN, expires_at=NOW + timedelta(days=3)), house(*ANN)["ann"])
    assert issued.expires_at == NOW + timedelta(days=3)


def test_an_admin_may_set_a_longer_time_or_none():
    by_root = replace(OWN, by="root")
    (long,) = decide(replace(by_root, expires_at=NOW + timedelta(days=900)), house(*ANN)["ann"])
    (never,) = decide(replace(by_root, valid_days=0), house(*ANN)["ann"])
    assert (long.expires_at, never.expires_at) == (NOW + timedelta(days=900), None)


def test_a_key_registered_again_without_an_expiry_is_the_same_key():
    state = house(*ANN, OWN)["ann"]
    assert decide(replace(OWN, now=NOW + timedelta(days=1)), state) == []
