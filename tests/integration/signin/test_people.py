"""People sign in with Keycloak, and work as themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from regista.client.sync_client import Client
from regista.errors import Unauthorized
from regista.login.kept import KeptLogin
from regista.login.requests import connection
from regista.login.tokens import Tokens, refreshed
from tests.integration.sdk.conftest import trained, until

from .browser import signed_in
from .conftest import Office

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def expired(office: Office, who: str) -> Tokens:
    """The access token of this person ends now; the refresh token stays. Returns the tokens."""
    kept = KeptLogin(office.profile(who))
    tokens = kept.read()
    assert tokens is not None
    with kept.locked():
        kept.write(msgspec.structs.replace(tokens, expires_at=0.0))
    return tokens


def roles(office: Office, who: str) -> set[tuple[str, str]]:
    return {(role["role"], role["group"]) for role in office.json(who, "whoami")["roles"]}


def test_a_person_signs_in_with_a_browser_and_sees_the_roles_of_the_groups(office: Office) -> None:
    done = office.run("ann", "login")
    assert (done.returncode, "You are signed in as Ann Example" in done.stdout) == (0, True), done.stderr
    shown = office.run("ann", "whoami").stdout
    assert "Ann Example" in shown
    assert "ml-engineers" in shown


def test_up_states_how_each_person_signs_in(office: Office) -> None:
    for who in ("ann", "bob", "carol", "dan"):
        assert f"regista --profile {who} login" in office.shown
        assert str(office.keycloak.password_file(who)) in office.shown
        assert office.keycloak.password(who) not in office.shown


def test_without_a_browser_a_code_is_entered_on_another_device(office: Office) -> None:
    waiting = office.start("dan", "login", "--device", "--json")
    assert waiting.stderr is not None
    lines = [waiting.stderr.readline(), waiting.stderr.readline()]
    address = lines[1].split()[-1]
    signed_in(address, "dan", office.keycloak.password("dan"))
    output, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, errors
    assert json.loads(output)["name"] == "Dan Example"
    assert roles(office, "dan") == {("auditor", "auditors")}


def test_two_processes_that_refresh_at_the_same_time_both_go_on(office: Office) -> None:
    office.signed_in("ann")
    before = expired(office, "ann")
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lambda _: office.run("ann", "whoami"), range(2)))
    assert [(one.returncode, one.stderr) for one in ended] == [(0, ""), (0, "")]
    after = KeptLogin(office.profile("ann")).read()
    assert after is not None
    assert after.refresh_token != before.refresh_token


def test_after_logout_the_tokens_are_worth_nothing_and_are_gone(office: Office) -> None:
    office.signed_in("dan")
    kept = KeptLogin(office.profile("dan"))
    stolen = kept.read()
    assert stolen is not None
    assert office.json("dan", "logout") == {
        "signed_out": True,
        "issuer": office.keycloak.issuer,
        "revoked": True,
    }
    assert not kept.exists()
    with connection(office.profile("dan")) as http, pytest.raises(Unauthorized) as refused:
        refreshed(http, stolen)
    assert refused.value.code == "sign_in_ended"
    after = office.run("dan", "whoami")
    assert (after.returncode, "regista login" in after.stderr) == (5, True)
    assert office.json("dan", "logout")["signed_out"] is False


def test_a_session_that_the_organisation_ended_is_reported_with_what_to_do(office: Office) -> None:
    office.signed_in("dan")
    office.administer("POST", f"/users/{office.id_of('dan')}/logout")
    expired(office, "dan")
    ended = office.run("dan", "whoami", "--json")
    assert ended.returncode == 5
    problem = json.loads(ended.stderr)
    assert (problem["code"], "regista login" in problem["advice"]) == ("sign_in_ended", True)


@pytest.fixture
def bob_in_no_group(office: Office) -> Iterator[None]:
    """Bob is signed in as an approver; then he is removed from the group, until the end of the test."""
    office.signed_in("bob")
    assert ("approver", "model-approvers") in roles(office, "bob")
    membership = f"/users/{office.id_of('bob')}/groups/{office.group_of('model-approvers')}"
    office.administer("DELETE", membership)
    yield
    office.administer("PUT", membership)


@pytest.mark.usefixtures("bob_in_no_group")
def test_who_leaves_a_group_loses_its_roles_at_the_next_token(office: Office) -> None:
    expired(office, "bob")
    assert roles(office, "bob") == set()


def test_a_model_reaches_production_by_people_who_have_no_key(office: Office, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"onnx" * 1000)
    with Client(office.publisher(tmp_path)) as pipeline:
        pipeline.publish("crm.churn", tmp_path / "model.onnx", trained(), tier="high").wait(60)
    for who in ("ann", "bob", "carol"):
        office.signed_in(who)
    with Client(office.profile("ann")) as ann:
        until(lambda: ann.version("crm.churn@1")["stage"] == "Validated")
        promotion = ann.promote("crm.churn@1", reason="better", serve=True)["promotion_id"]
        review = until(lambda: ann.review(promotion))["review_id"]
        for who in ("bob", "carol"):
            seen = str(ann.review(review)["revision"])
            office.json(who, "approve", review, "--revision", seen, "--comment", "checked")
        until(lambda: ann.version("crm.churn@1")["stage"] == "Production")


def test_an_issuer_that_the_registry_does_not_trust_is_refused_with_those_it_trusts(office: Office) -> None:
    refused = office.run("ann", "login", "--issuer", "https://elsewhere.example.com")
    assert refused.returncode == 2
    assert office.keycloak.issuer in refused.stderr
