"""The command line of those who operate and audit: keys, dead letters, checkpoints, history."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.client.patience import Patience
from regista.exported_history import _fault
from regista.wire.history import BadHistory

from .conftest import Answers, problem


def test_only_the_public_half_of_a_signing_key_leaves_the_machine(
    run: Any, answers: Answers, tmp_path: Path
) -> None:
    answers.fixed["POST", "/v1/access/identities/publisher:nightly/keys"] = JSONResponse({"key_id": "k"}, 201)
    file = tmp_path / "key.json"
    assert run("access", "key", "issue", "publisher:nightly", "--signing", "--out", str(file)).exit_code == 0
    seed = json.loads(file.read_text())["seed"]
    (sent,) = answers.of("POST", "/v1/access/identities/publisher:nightly/keys")
    assert seed.encode() not in sent.body
    assert set(json.loads(sent.body)) == {"key_id", "public_key"}
    again = run("key", "generate", "publisher:nightly", "--out", str(file))
    assert (again.exit_code, json.loads(file.read_text())["seed"]) == (2, seed)


def test_dead_letters_are_replayed_at_the_service_that_owns_the_topic(run: Any, answers: Answers) -> None:
    dead_letter = "regista.training.v1.dlq~0~17"
    answers.fixed["POST", f"/v1/dlq/{dead_letter}:replay"] = JSONResponse(
        {"id": dead_letter, "topic": "regista.training.v1"}, 202
    )
    assert "regista.training.v1" in run("dlq", "replay", dead_letter).output
    assert run("dlq", "replay", "nonsense").exit_code == 2


KEYS = "/v1/access/identities/person:ann/keys"


def _has_key(answers: Answers, new: str | None) -> None:
    answers.fixed["GET", "/v1/access/identities/person:ann"] = JSONResponse(
        {"subject": "person:ann", "keys": [{"key_id": "old"}]}
    )
    answers.fixed["POST", KEYS] = JSONResponse(
        {"key_id": "new", "algorithm": "hmac-sha256", "api_key": new}, 201
    )
    answers.fixed["DELETE", f"{KEYS}/old"] = answers.fixed["DELETE", f"{KEYS}/new"] = JSONResponse({})


def test_a_rotation_revokes_the_old_key_once_the_new_one_is_in_hand(run: Any, answers: Answers) -> None:
    _has_key(answers, "rg_new")
    assert run("access", "key", "rotate", "person:ann", "old").stdout == "rg_new\n"
    assert [(seen.method, seen.path) for seen in answers.seen[1:]] == [
        ("POST", KEYS),
        ("DELETE", f"{KEYS}/old"),
    ]


def test_a_rotation_whose_new_key_was_lost_leaves_the_old_one(run: Any, answers: Answers) -> None:
    _has_key(answers, None)
    result = run("access", "key", "rotate", "person:ann", "old")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "rotate" in result.stderr
    assert not answers.of("DELETE", f"{KEYS}/old")


def test_a_rotation_with_an_unknown_outcome_shows_the_new_key_and_the_next_step(
    run: Any, answers: Answers
) -> None:
    _has_key(answers, "rg_new")
    answers.fixed["DELETE", f"{KEYS}/old"] = problem(401, "unauthenticated")
    result = run("access", "key", "rotate", "person:ann", "old")
    assert (result.exit_code, result.stdout) == (1, "rg_new\n")
    assert "regista access key revoke person:ann old" in result.stderr


def test_a_compromised_key_is_revoked_as_such(run: Any, answers: Answers) -> None:
    _has_key(answers, None)
    run("access", "key", "revoke", "person:ann", "old", "--reason", "on a laptop", "--compromised")
    run("access", "key", "revoke", "person:ann", "old")
    assert [seen.query for seen in answers.of("DELETE", f"{KEYS}/old")] == [
        {"reason": "on a laptop", "compromised": "true"},
        {},
    ]


def test_a_key_that_is_not_there_is_not_rotated(run: Any, answers: Answers) -> None:
    _has_key(answers, "rg_new")
    assert run("access", "key", "rotate", "person:ann", "other").exit_code == 4
    assert not answers.of("POST", KEYS)


def test_only_replayed_dead_letters_are_listed_with_replayed(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/dlq"] = JSONResponse(
        {"items": [{"id": "a", "replayed": True}, {"id": "b", "replayed": False}]}
    )
    assert [
        dead_letter["id"] for dead_letter in json.loads(run("dlq", "list", "--replayed", "--json").stdout)
    ] == ["a"]


def test_an_unreachable_service_is_named_and_the_dead_letters_of_others_are_listed(
    run: Any, answers: Answers
) -> None:
    services = dict.fromkeys(("artifact", "cleanup"), answers.url) | {"approval": "http://127.0.0.1:9"}
    answers.fixed["GET", "/.well-known/regista"] = JSONResponse(services)
    answers.fixed["GET", "/v1/dlq"] = JSONResponse({"items": [{"id": "a"}]})
    result = run("dlq", "list")
    assert result.exit_code == 0
    assert "a" in result.stdout
    assert "the dead letters of approval are not listed" in result.stderr


def test_an_auditor_sees_checkpoints_events_and_whether_the_invariants_hold(
    run: Any, answers: Answers
) -> None:
    heads = {
        "origin": "o",
        "tree_size": 7,
        "verifier_key": "vk",
        "items": [{"size": 7, "root": "ab", "note": "n", "signed_at": "2026-01-01T00:00:00Z"}],
    }
    answers.fixed["GET", "/v1/log-checkpoints"] = JSONResponse(heads)
    answers.fixed["GET", "/v1/events"] = JSONResponse(
        {"items": [{"stream": "model-1", "type": "ModelRegistered"}], "next_page_token": ""}
    )
    broken = {
        "name": "I2",
        "rule": "no holes",
        "holds": False,
        "checked": 9,
        "violations": [{"stream": "model-1"}],
        "took_ms": 1.0,
    }
    answers.fixed["GET", "/v1/invariants"] = invariants(verified=6, sealed=7, found=[broken])
    fault = {"stream": "x-\x1b[1m1", "revision": 2, "type": "A", "fault": "its bytes are not what was sealed"}
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": [fault], "next_page_token": ""})
    warning = run("timeline", "churn").stderr
    assert "its bytes are not what was sealed" in warning
    assert "\x1b[1m1" not in warning
    assert "vk" in run("audit", "log-checkpoints").output
    assert "ModelRegistered" in run("audit", "events", "--correlation", "c1").output
    assert answers.of("GET", "/v1/events")[0].query["correlation_id"] == "c1"
    result = run("audit", "invariants")
    assert (result.exit_code, "no holes" in result.output) == (1, True)
    assert not answers.of("POST", "/v1/invariants:check")


REQUESTED, FINISHED_BEFORE = "2026-01-02T00:00:00.5Z", "2026-01-01T00:00:00Z"


def invariants(
    verified: int,
    sealed: int,
    *,
    read_since: str = FINISHED_BEFORE,
    full_run: dict[str, Any] | None = None,
    found: Sequence[dict[str, Any]] = (),
) -> JSONResponse:
    return JSONResponse(
        {
            "holds": not found,
            "at": "2026-01-03T00:00:00Z",
            "verified": verified,
            "sealed": sealed,
            "read_since": read_since,
            "full_run": full_run,
            "invariants": list(found),
        }
    )


def test_how_much_of_the_log_is_verified_is_shown_above_the_invariants(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/invariants"] = invariants(verified=6, sealed=7)
    lines = [line.split() for line in run("audit", "invariants").output.splitlines()]
    assert ["verified", "6"] in lines
    assert ["sealed", "7"] in lines


def test_a_full_run_is_requested_and_waited_for(
    run: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regista.cli.audit.PAUSE", 0)
    requested = {"requested_at": REQUESTED, "verified": 0, "leaves": 7}
    answers.fixed["POST", "/v1/invariants:check"] = JSONResponse(requested, 202)
    answers.given["GET", "/v1/invariants"] = [
        invariants(7, 7, full_run=requested),
        invariants(7, 8, full_run=requested | {"verified": 4}),
        invariants(8, 8, read_since="2026-01-02T00:00:00.500000+00:00"),
        invariants(9, 9),
    ]
    result = run("audit", "invariants", "--full", "--json")
    assert result.exit_code == 0, result.output
    assert (json.loads(result.stdout)["verified"], len(answers.given["GET", "/v1/invariants"])) == (8, 1)
    assert len(answers.of("POST", "/v1/invariants:check")) == 1


def test_a_full_run_that_does_not_end_in_time_states_how_far_it_is(run: Any, answers: Answers) -> None:
    under_way = {"requested_at": REQUESTED, "verified": 4, "leaves": 7}
    answers.fixed["POST", "/v1/invariants:check"] = JSONResponse(under_way, 202)
    answers.fixed["GET", "/v1/invariants"] = invariants(7, 7, full_run=under_way)
    result = run("audit", "invariants", "--full", "--wait", "0")
    assert result.exit_code == 6
    assert "4 of 7 leaves are verified again" in result.stderr


def test_an_export_that_does_not_end_shows_the_failure(run: Any, answers: Answers) -> None:
    state = {
        "place": "s3://kept",
        "sealed": 9,
        "signed": 9,
        "planned": 9,
        "exported": 4,
        "failure": "the store is unreachable",
        "items": [],
        "next_page_token": "",
    }
    answers.fixed["POST", "/v1/history:export"] = JSONResponse({"planned": 9, "exported": 4}, 202)
    answers.fixed["GET", "/v1/history"] = JSONResponse(state)
    result = run("history", "export", "--all", "--wait", "0")
    assert result.exit_code == 6
    assert "4 of 9 events are exported: the store is unreachable" in result.stderr
    assert json.loads(answers.of("POST", "/v1/history:export")[0].body) == {"all": True}


def test_what_is_sealed_meanwhile_is_not_waited_for(run: Any, answers: Answers) -> None:
    state = {
        "place": "s3://kept",
        "sealed": 20,
        "signed": 20,
        "planned": 9,
        "exported": 9,
        "failure": "",
        "items": [],
        "next_page_token": "",
    }
    answers.fixed["POST", "/v1/history:export"] = JSONResponse({"planned": 9, "exported": 4}, 202)
    answers.fixed["GET", "/v1/history"] = JSONResponse(state)
    assert "9 of 20 events are exported to s3://kept" in run("history", "export").output


def test_what_a_store_answered_or_a_file_is_called_cannot_steer_the_terminal(
    run: Any, answers: Answers, tmp_path: Path
) -> None:
    state = {
        "place": "s3://kept",
        "sealed": 20,
        "signed": 20,
        "planned": 9,
        "exported": 4,
        "failure": "Denied \x07",
        "items": [],
    }
    answers.fixed["POST", "/v1/history:export"] = JSONResponse({"planned": 9, "exported": 4}, 202)
    answers.fixed["GET", "/v1/history"] = JSONResponse(state)
    assert "\x07" not in run("history", "export", "--wait", "0").stderr
    (tmp_path / "a\x07.parquet").touch()
    result = run("history", "verify", str(tmp_path), "--key", "k")
    assert "has no manifest" in result.stderr
    assert "\x07" not in result.stderr


def test_a_missing_file_of_the_exported_log_comes_with_what_to_do(tmp_path: Path) -> None:
    missing = FileNotFoundError(2, "No such file or directory", str(tmp_path / "0-9.parquet"))
    path = tmp_path / "0-9.json"
    assert f"0-9.parquet is missing: copy it again (`regista history export --to {tmp_path}`)" in _fault(
        path, missing
    )
    denied = _fault(path, PermissionError(13, "Permission denied", str(tmp_path / "0-9.parquet")))
    assert denied == "0-9.parquet cannot be read (Permission denied): allow it, or copy the file again"
    assert _fault(path, BadHistory("not the file of its manifest")).startswith("0-9.json: not the")


DEAD_LETTER = "regista.training.v1.dlq~0~17"


def test_services_are_asked_at_the_same_time_and_each_once(run: Any, answers: Answers) -> None:
    """One that hangs or is busy is named; what the others answered is listed."""
    answers.fixed["GET", "/v1/dlq"] = JSONResponse(
        {"detail": "Kafka does not answer", "code": "kafka_away"}, 503
    )
    result = run("dlq", "list")
    assert result.exit_code == 1
    assert "Kafka does not answer" in result.stderr
    assert len(answers.of("GET", "/v1/dlq")) == 4


@pytest.mark.slow
def test_services_that_hang_are_named_after_one_short_wait(
    run: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regista.calls.dead_letters.OPERATORS", Patience(attempts=1, total=1.0))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hung = f"http://127.0.0.1:{listener.getsockname()[1]}"
        services = dict.fromkeys(("artifact", "approval"), hung) | {"cleanup": answers.url}
        answers.fixed["GET", "/.well-known/regista"] = JSONResponse(services)
        answers.fixed["GET", "/v1/dlq"] = JSONResponse({"items": [{"id": "a"}]})
        answers.fixed["GET", "/v1/dlq/groups"] = JSONResponse({"items": [{"count": 2, "code": "malformed"}]})
        began = time.monotonic()
        listed, grouped = run("dlq", "list"), run("dlq", "groups")
    assert time.monotonic() - began < 10
    assert "a" in listed.stdout
    assert "malformed" in grouped.stdout
    for name in ("artifact", "approval"):
        assert f"of {name} are not listed: the service {name} at {hung} did not answer" in listed.stderr
        assert f"of {name} are not listed" in grouped.stderr


def test_dead_letters_are_dismissed_with_a_reason_and_listed_with_it(run: Any, answers: Answers) -> None:
    answers.fixed["POST", f"/v1/dlq/{DEAD_LETTER}:dismiss"] = JSONResponse({"id": DEAD_LETTER})
    assert DEAD_LETTER in run("dlq", "dismiss", DEAD_LETTER, "--reason", "a test").output
    assert json.loads(answers.of("POST", f"/v1/dlq/{DEAD_LETTER}:dismiss")[0].body) == {"reason": "a test"}
    assert run("dlq", "dismiss", DEAD_LETTER).exit_code == 2
    closed = {"id": DEAD_LETTER, "dismissed": True, "closed_by": "u-7", "closed_reason": "a test"}
    answers.fixed["GET", "/v1/dlq"] = JSONResponse({"items": [closed, {"id": "open"}]})
    listed = run("dlq", "list", "registry", "--dismissed")
    assert answers.of("GET", "/v1/dlq")[0].query["dismissed"] == "true"
    assert "a test" in listed.stdout
    assert "open" not in listed.stdout


def test_the_groups_of_all_services_stand_in_one_list_the_largest_first(run: Any, answers: Answers) -> None:
    answers.given["GET", "/v1/dlq/groups"] = [
        JSONResponse({"items": [{"count": n, "topic": "t", "code": f"code-{n}"}] if n else []})
        for n in (2, 0, 9, 5)
    ]
    found = json.loads(run("dlq", "groups", "--json").stdout)
    assert [one["count"] for one in found] == [9, 5, 2]
