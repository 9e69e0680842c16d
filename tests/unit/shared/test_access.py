from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deciding.access import (
    ACCESS,
    ACCESS_EVENTS,
    ANY_ROLE,
    AccessEvent,
    AccessState,
    IdentityCreated,
    KeyIssued,
    KeyRevoked,
    RoleGranted,
    RoleRevoked,
    check,
    evolve_access,
    namespace_of,
    permits,
    readable_namespaces,
)
from shared.deciding.decider import Forbidden
from shared.deciding.events import Cursor, encode
from shared.deciding.person import folded_name
from shared.deciding.submission import Permission
from shared.identity.access_view import new_api_key, verifier_of
from shared.identity.identities import Identities

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEPPER = "pepper"


def folded(*events: AccessEvent) -> AccessState:
    return reduce(evolve_access, events, ACCESS.initial)


def test_an_identity_stored_with_its_name_is_read_without_it():
    old = encode({"kind": "person", "name": "Anna", "subject": "anna"})
    read = ACCESS_EVENTS.decode("IdentityCreated", 1, old)
    assert read == IdentityCreated("anna", "person")
    assert (ACCESS_EVENTS.schema_of(read), encode(read)) == (3, b'{"by":"","kind":"person","subject":"anna"}')


def granted(role: str, namespace: str) -> AccessState:
    return folded(IdentityCreated("anna", "person"), RoleGranted("anna", role, namespace))


@pytest.mark.parametrize(
    ("grant", "namespace", "allowed"),
    [
        ("*", "fraud", True),
        ("*", "", True),
        ("fraud", "fraud", True),
        ("fraud", "fraud.cards", True),
        ("fraud", "fraudulent", False),
        ("fraud", "", False),
    ],
)
def test_a_role_covers_its_namespace_and_those_below(grant: str, namespace: str, allowed: bool) -> None:
    assert permits(granted("engineer", grant), "engineer", namespace) is allowed
    assert permits(granted("engineer", grant), ANY_ROLE, namespace) is allowed
    assert permits(granted("auditor", grant), "engineer", namespace) is False


def test_admin_implies_every_role_but_break_glass() -> None:
    assert permits(granted("admin", "fraud"), "approver", "fraud")
    assert not permits(granted("admin", "fraud"), "approver", "games")
    assert not permits(granted("admin", "*"), "override", "fraud")
    assert permits(granted("override", "*"), "override", "fraud")


def test_a_revoked_role_does_not_count_and_revoking_it_again_changes_nothing() -> None:
    state = evolve_access(granted("engineer", "*"), RoleRevoked("anna", "engineer", "*"))
    assert not permits(state, "engineer", "fraud")
    assert not evolve_access(state, RoleRevoked("anna", "engineer", "*")).grants


def test_an_identity_whose_every_key_is_revoked_or_expired_may_do_nothing() -> None:
    state = evolve_access(
        granted("engineer", "*"), KeyIssued("anna", "k1", "hmac-sha256", "00", NOW + timedelta(hours=1))
    )
    check(state, Permission("engineer", "fraud"), NOW)
    with pytest.raises(Forbidden, match="no_live_key"):
        check(state, Permission("engineer", "fraud"), NOW + timedelta(hours=2))
    with pytest.raises(Forbidden, match="no_live_key"):
        check(evolve_access(state, KeyRevoked("anna", "k1", "lost")), Permission("engineer", "fraud"), NOW)


def test_the_refusal_names_role_and_namespace() -> None:
    with pytest.raises(
        Forbidden, match=r"role_missing: anna needs the role 'engineer' in the namespace 'fraud'"
    ):
        check(granted("engineer", "games"), Permission("engineer", "fraud"), NOW)
    for everywhere in ("", "*"):
        with pytest.raises(
            Forbidden, match=r"anna needs a role everywhere \(namespace '\*'\): an admin must grant it"
        ):
            check(granted("engineer", "games"), Permission(ANY_ROLE, everywhere), NOW)
    with pytest.raises(Forbidden, match="unknown_identity"):
        check(ACCESS.initial, Permission("engineer", "fraud"), NOW)


def test_lists_are_filtered_by_what_was_granted() -> None:
    assert readable_namespaces(granted("auditor", "*")) is None
    assert readable_namespaces(granted("auditor", "fraud")) == {"fraud"}
    assert readable_namespaces(ACCESS.initial) == frozenset()
    assert (namespace_of("fraud.cards.scoring"), namespace_of("scoring")) == ("fraud.cards", "")


def test_an_api_key_identifies_its_owner_until_it_is_revoked() -> None:
    key, identities = new_api_key(PEPPER), Identities(PEPPER)
    for event in (
        IdentityCreated("anna", "person"),
        KeyIssued("anna", key.key_id, "hmac-sha256", key.verifier),
    ):
        identities.apply(event, NOW)
    found = identities.by_api_key(key.text)
    assert found is not None
    assert (found.actor.subject, found.actor.method) == ("anna", f"api-key:{key.key_id}")
    for wrong in (
        key.text + "x",
        key.text[:-1],
        key.text.upper(),
        "",
        "rg_",
        "rg__",
        f"rg_{key.key_id}_",
        key.verifier,
        "rg_ä_ö",
    ):
        assert identities.by_api_key(wrong) is None
    identities.apply(KeyRevoked("anna", key.key_id, "lost"), NOW)
    assert identities.by_api_key(key.text) is None


def test_a_key_id_belongs_to_the_first_subject_that_was_issued_it() -> None:
    first, second, identities = new_api_key(PEPPER, "k1"), new_api_key(PEPPER, "k1"), Identities(PEPPER)
    for event in (
        IdentityCreated("anna", "person"),
        KeyIssued("anna", "k1", "hmac-sha256", first.verifier),
        IdentityCreated("service:approval", "service"),
        KeyIssued("service:approval", "ed", "ed25519", "aa" * 32),
        IdentityCreated("eve", "person"),
        KeyIssued("eve", "k1", "hmac-sha256", second.verifier),
        KeyIssued("eve", "ed", "ed25519", "bb" * 32),
    ):
        identities.apply(event, NOW)

    def who() -> tuple[str, str]:
        found, signer = identities.by_api_key(first.text), identities.signer("ed")
        return (found.actor.subject if found else "", signer.subject if signer else "")

    assert who() == ("anna", "service:approval")
    assert identities.by_api_key(second.text) is None
    for key_id in ("k1", "ed"):
        identities.apply(KeyRevoked("eve", key_id, "lost"), NOW)
    assert who() == ("anna", "service:approval")
    signer = identities.signer("ed")
    assert signer is not None
    assert signer.live(NOW)
    identities.apply(KeyRevoked("anna", "k1", "lost"), NOW)
    assert who() == ("", "service:approval")
    assert identities.by_api_key(second.text) is None


def test_an_expired_key_identifies_no_one() -> None:
    key, identities = new_api_key(PEPPER), Identities(PEPPER)
    identities.apply(KeyIssued("anna", key.key_id, "hmac-sha256", key.verifier, NOW), NOW)
    assert identities.by_api_key(key.text, NOW - timedelta(seconds=1)) is not None
    assert identities.by_api_key(key.text, NOW) is None


def test_a_stored_verifier_is_useless_without_the_pepper() -> None:
    key = new_api_key(PEPPER)
    assert verifier_of(key.text, PEPPER) == key.verifier != verifier_of(key.text, "other")
    assert key.text not in repr(key)


def test_a_public_key_is_no_api_key_and_an_api_key_is_no_public_key() -> None:
    key, identities = new_api_key(PEPPER), Identities(PEPPER)
    identities.apply(IdentityCreated("pipeline", "publisher"), NOW)
    identities.apply(KeyIssued("pipeline", "ed", "ed25519", verifier_of("rg_ed_secret", PEPPER)), NOW)
    identities.apply(KeyIssued("pipeline", key.key_id, "hmac-sha256", key.verifier), NOW)
    assert identities.by_api_key("rg_ed_secret") is None
    assert identities.signer(key.key_id) is None
    signer = identities.signer("ed")
    assert signer is not None
    assert (signer.subject, signer.kind, len(signer.public_key)) == ("pipeline", "publisher", 32)


def test_a_signers_key_is_valid_until_its_first_revocation_or_expiry_and_never_when_compromised() -> None:
    identities, hour = Identities(PEPPER), timedelta(hours=1)
    identities.apply(IdentityCreated("service:approval", "service"), NOW)
    for key_id, expires in (("a", None), ("b", NOW + hour), ("c", NOW + 3 * hour)):
        identities.apply(KeyIssued("service:approval", key_id, "ed25519", "aa" * 32, expires), NOW)

    def ends(key_id: str) -> datetime | None:
        signer = identities.signer(key_id)
        assert signer is not None
        return signer.until

    assert (ends("a"), ends("b"), ends("c")) == (None, NOW + hour, NOW + 3 * hour)
    for key_id in ("a", "b", "c"):
        identities.apply(KeyRevoked("service:approval", key_id, "rotated"), NOW + 2 * hour)
    assert (ends("a"), ends("b"), ends("c")) == (NOW + 2 * hour, NOW + hour, NOW + 2 * hour)
    identities.apply(
        KeyRevoked("service:approval", "a", "found on a laptop", compromised=True), NOW + 4 * hour
    )
    signer = identities.signer("a")
    assert signer is not None
    assert (signer.until, signer.compromised, signer.live(NOW)) == (NOW + 2 * hour, True, False)


ROLES, NAMESPACES = (
    st.sampled_from(["engineer", "approver", "admin"]),
    st.sampled_from(["*", "a", "a.b", "ab"]),
)
CHANGES = st.lists(st.tuples(st.sampled_from([RoleGranted, RoleRevoked]), ROLES, NAMESPACES), max_size=20)


@given(CHANGES, ROLES, NAMESPACES)
def test_revoking_never_gives_and_granting_never_takes(
    changes: list[tuple[type, str, str]], role: str, namespace: str
) -> None:
    state = folded(IdentityCreated("anna", "person"), *(kind("anna", r, n) for kind, r, n in changes))
    asked = [
        (r, n) for r in ("engineer", "approver", "admin", ANY_ROLE) for n in ("", "a", "a.b", "a.b.c", "ab")
    ]
    allowed = {pair for pair in asked if permits(state, *pair)}
    more = evolve_access(state, RoleGranted("anna", role, namespace))
    less = evolve_access(state, RoleRevoked("anna", role, namespace))
    assert allowed <= {pair for pair in asked if permits(more, *pair)}
    assert {pair for pair in asked if permits(less, *pair)} <= allowed


def test_names_are_compared_without_case_and_in_one_unicode_form() -> None:
    assert folded_name("Zoë Straße") == folded_name("ZOE\u0308 STRASSE")
    assert folded_name("Zoë") != folded_name("Zoe")


def test_of_two_streams_that_issue_one_key_id_the_first_in_the_log_owns_it() -> None:
    first, second = new_api_key(PEPPER, "k1"), new_api_key(PEPPER, "k1")
    owner = KeyIssued("anna", "k1", "hmac-sha256", first.verifier)
    thief = KeyIssued("eve", "k1", "hmac-sha256", second.verifier)
    for order in (
        [(owner, Cursor(1, 1)), (thief, Cursor(2, 1))],
        [(thief, Cursor(2, 1)), (owner, Cursor(1, 1))],
    ):
        identities = Identities(PEPPER)
        for event, cursor in order:
            identities.apply(event, NOW, cursor)
        assert identities.by_api_key(first.text)
        assert identities.by_api_key(second.text) is None
