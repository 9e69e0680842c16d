"""Roles, groups and own keys on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers

IDENTITY = {"subject": "u-1", "roles": [], "keys": [], "members": []}
ME = {
    "subject": "u-1",
    "name": "Ada Lovelace",
    "kind": "person",
    "key": {"key_id": "K1", "algorithm": "hmac-sha256", "expires_at": "2027-11-29T00:00:00Z"},
    "roles": [
        {"role": "engineer", "namespace": "fraud", "group": ""},
        {"role": "approver", "namespace": "fraud", "group": "board"},
        {"role": "auditor", "namespace": "*", "group": ""},
    ],
}
ROLES = "/v1/access/identities/u-1/roles"


@pytest.fixture
def people(answers: Answers) -> Answers:
    answers.fixed["PUT", ROLES] = JSONResponse(IDENTITY)
    answers.fixed["DELETE", ROLES] = JSONResponse(None, 204)
    answers.fixed["GET", "/v1/access/me"] = JSONResponse(ME)
    answers.fixed["GET", "/v1/access/identities/u-1"] = JSONResponse({**IDENTITY, "keys": [{"key_id": "K1"}]})
    return answers


def test_the_list_of_identities_has_no_key_that_does_not_work(run: Any, people: Answers) -> None:
    keys = [
        {"key_id": "OLD", "algorithm": "hmac-sha256", "expires_at": "2026-01-01T00:00:00+00:00"},
        {"key_id": "GONE", "algorithm": "hmac-sha256", "revoked_at": "2026-01-01T00:00:00Z"},
        {"key_id": "GOOD", "algorithm": "hmac-sha256", "expires_at": "2999-01-01T00:00:00+00:00"},
    ]
    disabled = {"subject": "u-2", "kind": "person", "disabled_at": "2026-03-01T12:00:00.5Z", "keys": keys}
    items = [{**IDENTITY, "keys": keys}, disabled]
    people.fixed["GET", "/v1/access/identities"] = JSONResponse({"items": items, "next_page_token": ""})
    shown = run("access", "identity", "list").stdout
    assert [word in shown for word in ("OLD", "GONE", "GOOD")] == [False, False, True]
    assert "none: disabled at 2026-03-01T12:00:00Z" in shown


@pytest.mark.parametrize("command", ["grant", "ungrant"])
def test_a_role_is_not_granted_or_revoked_before_it_is_clear_where(
    run: Any, people: Answers, command: str
) -> None:
    asked = run("access", command, "u-1", "admin")
    assert (asked.exit_code, "--everywhere" in asked.stderr) == (2, True)
    both = run("access", command, "u-1", "admin", "--namespace", "fraud", "--everywhere")
    assert both.exit_code == 2
    assert not people.of("PUT", ROLES)
    assert not people.of("DELETE", ROLES)


@pytest.mark.parametrize(
    ("options", "namespace"),
    [
        (("--namespace", "fraud"), "fraud"),
        (("--everywhere",), "*"),
        (("--namespace", "*"), "*"),
    ],
)
def test_a_role_is_granted_where_the_option_names(
    run: Any, people: Answers, options: tuple[str, ...], namespace: str
) -> None:
    assert run("access", "grant", "u-1", "approver", *options).exit_code == 0
    (request,) = people.of("PUT", ROLES)
    assert json.loads(request.body) == {"role": "approver", "namespace": namespace}


def test_a_role_where_no_model_is_comes_with_a_note(run: Any, people: Answers) -> None:
    note = "no model is in the namespace frau yet (did you mean fraud?)"
    people.fixed["PUT", ROLES] = JSONResponse({**IDENTITY, "notes": [note]})
    granted = run("access", "grant", "u-1", "approver", "--namespace", "frau")
    assert (granted.exit_code, note in granted.stderr) == (0, True)
    assert note not in run("access", "grant", "u-1", "approver", "--namespace", "frau", "--json").stderr


def test_people_read_identity_where_fields_are_called_subject(run: Any, people: Answers) -> None:
    for words in (("whoami",), ("access", "identity", "show", "u-1")):
        shown = run(*words).stdout
        assert shown.startswith("identity\tu-1") or "\nidentity\tu-1" in shown
        assert "subject" not in shown
    assert json.loads(run("access", "identity", "show", "u-1", "--json").stdout)["subject"] == "u-1"


def test_whoami_shows_roles_by_namespace_and_until_when_the_key_is_valid(run: Any, people: Answers) -> None:
    shown = run("whoami").output
    assert "Ada Lovelace" in shown
    assert "auditor everywhere; engineer, approver (as a member of board) in fraud" in " ".join(shown.split())
    assert "2027-11-29" in shown
    assert json.loads(run("whoami", "--json").stdout) == ME


def test_without_a_subject_the_key_in_use_is_rotated(run: Any, people: Answers) -> None:
    keys = "/v1/access/identities/u-1/keys"
    people.fixed["POST", keys] = JSONResponse(
        {
            "subject": "u-1",
            "key_id": "K2",
            "algorithm": "hmac-sha256",
            "expires_at": None,
            "api_key": "rg_K2_x",
        },
        201,
    )
    people.fixed["DELETE", f"{keys}/K1"] = JSONResponse(None, 204)
    assert "rg_K2_x" in run("access", "key", "rotate").output
    assert len(people.of("DELETE", f"{keys}/K1")) == 1


def test_a_subject_without_its_key_is_not_rotated(run: Any, people: Answers) -> None:
    asked = run("access", "key", "rotate", "u-1")
    assert (asked.exit_code, "name the key" in asked.stderr) == (2, True)


@pytest.mark.parametrize(
    ("expires", "sent"), [("never", {"never_expires": True}), ("2027-01-01T00:00:00Z", None)]
)
def test_a_key_that_never_expires_is_asked_for_by_that_word(
    run: Any, people: Answers, expires: str, sent: Any
) -> None:
    keys = "/v1/access/identities/u-1/keys"
    people.fixed["POST", keys] = JSONResponse(
        {
            "subject": "u-1",
            "key_id": "K2",
            "algorithm": "hmac-sha256",
            "expires_at": None,
            "api_key": "rg_K2_x",
        },
        201,
    )
    assert run("access", "key", "issue", "u-1", "--expires", expires).exit_code == 0
    (request,) = people.of("POST", keys)
    assert json.loads(request.body) == (sent or {"expires_at": expires})


def test_a_role_that_was_not_held_there_is_not_reported_as_revoked(run: Any, people: Answers) -> None:
    held = [{"role": "approver", "namespace": "fraud"}, {"role": "engineer", "namespace": "*", "group": "g"}]
    people.fixed["GET", "/v1/access/identities/u-1"] = JSONResponse(IDENTITY | {"roles": held})
    other = run("access", "ungrant", "u-1", "approver", "--namespace", "Fraud")
    assert other.exit_code == 0
    assert "u-1 was not approver in Fraud: nothing changed" in other.stdout
    assert "approver in fraud" in other.stdout
    assert "no longer" not in other.stdout
    revoked = json.loads(run("access", "ungrant", "u-1", "approver", "--namespace", "Fraud", "--json").stdout)
    assert revoked["revoked"] is False
    assert (
        "u-1 is no longer approver in fraud"
        in run("access", "ungrant", "u-1", "approver", "--namespace", "fraud").stdout
    )


def _issues(people: Answers, key: str = "rg_K2_x") -> str:
    keys = "/v1/access/identities/u-1/keys"
    issued = {"subject": "u-1", "key_id": "K2", "algorithm": "hmac-sha256", "expires_at": None}
    people.fixed["POST", keys] = JSONResponse(issued | {"api_key": key}, 201)
    people.fixed["DELETE", f"{keys}/K1"] = JSONResponse(None, 204)
    return keys


@pytest.mark.parametrize("command", [("issue", "u-1"), ("rotate",), ("rotate", "u-1", "K1")])
def test_a_file_that_is_named_gets_the_api_key_and_the_screen_does_not(
    run: Any, people: Answers, tmp_path: Path, command: tuple[str, ...]
) -> None:
    _issues(people)
    file = tmp_path / "new.key"
    result = run("access", "key", *command, "--out", str(file))
    assert (result.exit_code, file.read_text(), file.stat().st_mode & 0o777) == (0, "rg_K2_x\n", 0o600)
    assert "rg_K2_x" not in result.output
    assert str(file) in result.output


@pytest.mark.parametrize("command", [("issue", "u-1"), ("rotate",)])
def test_no_key_is_issued_for_a_file_that_exists_or_cannot_be_written(
    run: Any, people: Answers, tmp_path: Path, command: tuple[str, ...]
) -> None:
    keys = _issues(people)
    file = tmp_path / "old.key"
    file.write_text("rg_old")
    for target in (file, tmp_path / "no folder" / "new.key"):
        result = run("access", "key", *command, "--out", str(target))
        assert (result.exit_code, str(target) in result.stderr) == (2, True)
    assert file.read_text() == "rg_old"
    assert not people.of("POST", keys)
    assert not people.of("DELETE", f"{keys}/K1")


def test_who_rotates_the_key_in_use_learns_where_the_old_one_still_stands(run: Any, people: Answers) -> None:
    _issues(people)
    result = run("access", "key", "rotate")
    assert result.stdout == "rg_K2_x\n"
    assert "only time the key is shown" in result.stderr


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("2027-01-31", "2027-01-31T00:00:00Z"), ("2027-01-31T12:00:00+01:00", "2027-01-31T12:00:00+01:00")],
)
def test_a_key_expires_at_a_day_or_a_time(run: Any, people: Answers, typed: str, sent: str) -> None:
    keys = _issues(people)
    assert run("access", "key", "issue", "u-1", "--expires", typed).exit_code == 0
    assert json.loads(people.of("POST", keys)[0].body) == {"expires_at": sent}


@pytest.mark.parametrize("typed", ["tomorrow", "30d", "2027-13-01", "2027-01-31T12:00:00"])
def test_a_time_that_is_none_is_refused_with_the_forms_that_are_read(
    run: Any, people: Answers, typed: str
) -> None:
    keys = _issues(people)
    result = run("access", "key", "issue", "u-1", "--expires", typed)
    assert (result.exit_code, "2027-01-31" in result.stderr) == (2, True)
    assert not people.of("POST", keys)


def test_a_person_issues_a_key_of_their_own(run: Any, people: Answers) -> None:
    issued = {"subject": "u-1", "key_id": "K2", "algorithm": "hmac-sha256", "api_key": "rg_K2_x"}
    people.fixed["POST", "/v1/access/identities/u-1/keys"] = JSONResponse(
        {**issued, "expires_at": "2026-12-31T00:00:00Z"}, 201
    )
    done = run("access", "key", "issue", "--own", "--without-groups", "--expires", "2026-12-31")
    assert (done.exit_code, done.stdout.strip()) == (0, "rg_K2_x"), done.output
    assert run("access", "key", "issue", "--own", "--reason", "nightly report").exit_code == 0
    sent = [json.loads(one.body) for one in people.of("POST", "/v1/access/identities/u-1/keys")]
    assert sent == [
        {"expires_at": "2026-12-31T00:00:00Z", "without_groups": True},
        {"reason": "nightly report"},
    ]


@pytest.mark.parametrize("words", [(), ("--own", "u-2"), ("u-2", "--without-groups")])
def test_whose_key_is_issued_is_clear_before_anything_is_sent(
    run: Any, people: Answers, words: tuple[str, ...]
) -> None:
    assert run("access", "key", "issue", *words).exit_code == 2
    assert people.seen == []
