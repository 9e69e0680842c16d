"""Trust in issuers, roles of their groups, and what a sign-in writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.registry.access.domain.commands import CreateIdentity
from services.registry.access.domain.identities import create
from services.registry.access.domain.issuers import (
    MOST_MAPPED,
    DistrustIssuer,
    MapGroup,
    RecordSignIn,
    TrustIssuer,
    UnmapGroup,
    decide_issuer,
    decide_sign_in,
    subject_of_url,
)
from shared.deciding.access import (
    ACCESS,
    AccessState,
    IdentityCreated,
    IdentityDisabled,
    evolve_access,
    stream_of,
)
from shared.deciding.decider import Forbidden, NotFound, RuleBroken, Streams
from shared.deciding.issuers import (
    GroupMapped,
    GroupUnmapped,
    IssuerDistrusted,
    IssuerTrusted,
    SignedIn,
    issuer_key,
)

URL = "https://sso.acme.example/realms/acme"
ISSUER, KEY = subject_of_url(URL), issuer_key(URL)
T = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS: Any = ("regista", "regista-cli", ("openid",), ("RS256",), "groups")
TRUST = TrustIssuer(ISSUER, URL, *SETTINGS, "root")
MAP = MapGroup(ISSUER, "board", "approver", "fraud", "root")


def after(*events: Any) -> AccessState:
    state = ACCESS.initial
    for event in events:
        state = evolve_access(state, event)
    return state


TRUSTED = after(IssuerTrusted(ISSUER, URL, *SETTINGS, "root"))
MAPPED = evolve_access(TRUSTED, GroupMapped(ISSUER, "board", "approver", "fraud", "root"))


def code_of(command: Any, state: AccessState) -> str:
    with pytest.raises(RuleBroken) as broken:
        decide_issuer(command, state)
    return broken.value.code


def test_an_issuer_is_trusted_once_and_again_when_its_settings_change():
    assert decide_issuer(TRUST, ACCESS.initial) == [IssuerTrusted(ISSUER, URL, *SETTINGS, "root")]
    assert decide_issuer(TRUST, TRUSTED) == []
    changed = TrustIssuer(ISSUER, URL, "other", *SETTINGS[1:], "root")
    assert [type(one) for one in decide_issuer(changed, TRUSTED)] == [IssuerTrusted]


def test_trust_ends_once_and_can_be_given_again():
    assert decide_issuer(DistrustIssuer(ISSUER, "root"), TRUSTED) == [IssuerDistrusted(ISSUER, "root")]
    gone = evolve_access(MAPPED, IssuerDistrusted(ISSUER, "root"))
    assert decide_issuer(DistrustIssuer(ISSUER, "root"), gone) == []
    assert code_of(MAP, gone) == "issuer_not_trusted"
    again = evolve_access(gone, decide_issuer(TRUST, gone)[0])
    assert again.mapped == MAPPED.mapped


@pytest.mark.parametrize(
    "url",
    [
        "http://sso.acme.example",
        "https://",
        "ftp://sso.acme.example",
        "https://ann@sso.acme.example",
        "https://sso.acme.example?x=1",
        "https://sso.acme.example#x",
        "https://sso.acme.example:port",
        "https://[",
        "https://" + "a" * 500,
    ],
)
def test_an_issuer_needs_a_plain_https_address(url: str):
    assert code_of(TrustIssuer(ISSUER, url, *SETTINGS, "root"), ACCESS.initial) == "invalid_issuer"


def test_an_issuer_on_this_machine_needs_no_tls():
    local = TrustIssuer(ISSUER, "http://127.0.0.1:8080/realms/acme", *SETTINGS, "root")
    assert len(decide_issuer(local, ACCESS.initial)) == 1


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("RS256", "HS512")])
def test_only_algorithms_with_public_keys_can_be_trusted(algorithms: tuple[str, ...]):
    command = TrustIssuer(ISSUER, URL, "regista", "regista-cli", ("openid",), algorithms, "groups", "root")
    assert code_of(command, ACCESS.initial) == "invalid_algorithm"


def test_a_group_gets_a_role_once_and_loses_it_once():
    assert decide_issuer(MAP, TRUSTED) == [GroupMapped(ISSUER, "board", "approver", "fraud", "root")]
    assert decide_issuer(MAP, MAPPED) == []
    unmap = UnmapGroup(ISSUER, "board", "approver", "fraud", "hugo")
    assert decide_issuer(unmap, MAPPED) == [GroupUnmapped(ISSUER, "board", "approver", "fraud", "hugo")]
    assert decide_issuer(unmap, TRUSTED) == []


@pytest.mark.parametrize(
    ("group", "role", "namespace", "code"),
    [
        ("", "approver", "fraud", "invalid_group"),
        ("a\nb", "approver", "fraud", "invalid_group"),
        ("board", "king", "fraud", "unknown_role"),
        ("board", "approver", "no namespace", "invalid_namespace"),
    ],
)
def test_a_mapping_names_a_group_a_role_and_a_namespace(group: str, role: str, namespace: str, code: str):
    assert code_of(MapGroup(ISSUER, group, role, namespace, "root"), TRUSTED) == code


def test_an_issuer_has_no_more_roles_than_the_limit():
    full = TRUSTED
    for n in range(MOST_MAPPED):
        full = evolve_access(full, GroupMapped(ISSUER, f"g{n}", "approver", "fraud", "root"))
    assert code_of(MAP, full) == "too_many_mapped"


@pytest.mark.parametrize(
    "command", [DistrustIssuer(ISSUER, "root"), MAP, UnmapGroup(ISSUER, "b", "r", "n", "root")]
)
def test_an_issuer_that_was_never_trusted_is_unknown(command: Any):
    with pytest.raises(NotFound, match="unknown_issuer"):
        decide_issuer(command, ACCESS.initial)


def test_no_identity_has_the_subject_of_an_issuer():
    with pytest.raises(RuleBroken, match="invalid_subject"):
        create(CreateIdentity(ISSUER, "person", "root"), ACCESS.initial)


def sign_in(*groups: str, minutes: int = 0, account: str = "acc") -> RecordSignIn:
    return RecordSignIn("u-1", KEY, account, groups, T + timedelta(minutes=minutes))


def events_of(command: RecordSignIn, issuer: AccessState, person: AccessState) -> Sequence[Any]:
    streams = Streams({stream_of(ISSUER): issuer, stream_of("u-1"): person})
    return decide_sign_in(command, streams).get(stream_of("u-1"), [])


def seen(*groups: str, by: tuple[str, ...] = ("root",), minutes: int = 0) -> SignedIn:
    return SignedIn("u-1", KEY, "acc", groups, by, T + timedelta(minutes=minutes))


PERSON = after(IdentityCreated("u-1", "person", "u-1"), seen("board"))


def test_the_first_sign_in_makes_the_person_and_records_mapped_groups_only():
    assert events_of(sign_in("choir", "board"), MAPPED, ACCESS.initial) == [
        IdentityCreated("u-1", "person", "u-1"),
        seen("board"),
    ]


def test_the_same_again_writes_nothing():
    assert events_of(sign_in("board", "choir", minutes=5), MAPPED, PERSON) == []


def test_a_left_group_is_recorded_and_an_older_token_changes_nothing():
    assert events_of(sign_in(minutes=5), MAPPED, PERSON) == [seen(minutes=5)]
    left = evolve_access(PERSON, seen(minutes=5))
    assert events_of(sign_in("board", minutes=4), MAPPED, left) == []


def test_a_newly_mapped_group_counts_when_the_same_token_signs_in_again():
    issuer = evolve_access(MAPPED, GroupMapped(ISSUER, "audit", "auditor", "*", "hugo"))
    assert events_of(sign_in("board", "audit"), issuer, PERSON) == [
        seen("audit", "board", by=("hugo", "root"))
    ]


def test_no_sign_in_without_trust_nor_for_a_disabled_person():
    with pytest.raises(Forbidden, match="issuer_not_trusted"):
        events_of(sign_in(), evolve_access(MAPPED, IssuerDistrusted(ISSUER, "root")), PERSON)
    with pytest.raises(Forbidden, match="issuer_not_trusted"):
        events_of(sign_in(), ACCESS.initial, PERSON)
    with pytest.raises(Forbidden, match="identity_disabled"):
        events_of(sign_in(), MAPPED, evolve_access(PERSON, IdentityDisabled("u-1")))


def test_an_account_does_not_take_over_an_identity():
    with pytest.raises(RuleBroken, match="identity_exists"):
        events_of(sign_in(account="another"), MAPPED, PERSON)
    with pytest.raises(RuleBroken, match="identity_exists"):
        events_of(sign_in(), MAPPED, after(IdentityCreated("u-1", "person", "root")))
