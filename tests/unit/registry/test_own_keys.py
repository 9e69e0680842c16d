"""Keys that an identity issues itself, and how long keys are valid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.registry.access.domain.commands import CreateIdentity, IssueKey, RevokeKey
from shared.deciding.access import AccessState, evolve_access
from shared.deciding.decider import RuleBroken, Unprocessable
from shared.deciding.issuers import SignedIn
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


SEEN = SignedIn("ann", "issuer", "acc", ("board",), ("root",), NOW)
BY_TOKEN = replace(OWN, issuer="issuer")


def signed_in(seen: SignedIn = SEEN) -> AccessState:
    return evolve_access(house(*ANN)["ann"], seen)


def test_a_key_issued_with_a_token_has_the_groups_of_its_issuer_for_a_day():
    (issued,) = decide(BY_TOKEN, signed_in())
    assert (issued.issuer, issued.expires_at) == ("issuer", NOW + timedelta(hours=24))
    shorter = NOW + timedelta(hours=1)
    (issued,) = decide(replace(BY_TOKEN, expires_at=shorter), signed_in())
    assert issued.expires_at == shorter


def test_a_key_with_groups_is_valid_for_no_more_than_a_day():
    with pytest.raises(Unprocessable, match="without_groups"):
        decide(replace(BY_TOKEN, expires_at=NOW + timedelta(days=3)), signed_in())


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        (BY_TOKEN, replace(SEEN, groups=())),
        (replace(BY_TOKEN, issuer="another"), SEEN),
        (replace(BY_TOKEN, by="root"), SEEN),
        (OWN, SEEN),
    ],
    ids=["no group has a role", "another issuer", "another person issues it", "no groups asked for"],
)
def test_other_keys_have_own_roles_only_and_the_usual_time(command: IssueKey, seen: SignedIn):
    (issued,) = decide(command, signed_in(seen))
    assert (issued.issuer, issued.expires_at) == ("", NOW + timedelta(days=30))
