"""The client against a real HTTP server: what it sends, what it retries, what it refuses to believe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from regista.client.async_client import AsyncClient
from regista.client.loop_thread import CalledFromCallback
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.client.transport import Transport
from regista.errors import (
    Damaged,
    DeadLettered,
    Failed,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionRequired,
    Problem,
    Refused,
    RegistaError,
    RuleBroken,
    Stale,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    WrongArgument,
)
from regista.publishing.publication import TrainedMessage, outcome

from .conftest import API_KEY, COMPLETE, QUICK, Answers, problem

VERSION = {"model": "churn", "model_id": "m1", "number": 1, "semver": "1.0.0", "stage": "Staging"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"onnx" * 1000)
    return tmp_path / "model.onnx"


def test_publishing_over_http_uploads_the_file_and_registers_with_its_digest(
    client: Client, answers: Answers, model: Path
) -> None:
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(VERSION, 201)
    version = client.publish("churn", model, **COMPLETE).wait()
    assert (version.number, version.semver, version.new) == (1, "1.0.0", True)
    result = json.loads(answers.of("POST", "/v1/models/churn/versions")[0].body)
    upload = answers.of("POST", "/v1/uploads")[0]
    assert (upload.query, len(upload.body)) == ({"name": "model.onnx"}, 4000)
    assert upload.headers["content-length"] == "4000"
    assert result["artifact"]["location"] == "11111111-1111-4111-8111-111111111111"
    assert result["training"] == COMPLETE["training"] | {"creator": "person:ann"}
    assert upload.headers["authorization"] == f"Bearer {API_KEY}"


def test_the_files_of_a_folder_go_to_one_upload(client: Client, answers: Answers, tmp_path: Path) -> None:
    for name in ("a.txt", "sub/b.txt"):
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_text(name)
    artifact = client.upload(tmp_path / "m")
    assert [s.query for s in answers.of("POST", "/v1/uploads")] == [
        {"name": "a.txt"},
        {"name": "sub/b.txt", "upload": artifact["location"]},
    ]
    assert [f["path"] for f in artifact["files"]] == ["a.txt", "sub/b.txt"]


def test_an_upload_that_arrives_altered_is_not_published(
    client: Client, answers: Answers, model: Path
) -> None:
    answers.fixed["POST", "/v1/uploads"] = JSONResponse(
        {"location": "u", "sha256": "0" * 64, "size": 4000}, 201
    )
    with pytest.raises(Damaged, match="other bytes"):
        client.publish("churn", model, draft=True)
    assert not answers.of("POST", "/v1/models/churn/versions")


def test_an_upload_that_is_retried_sends_the_whole_file_again(
    client: Client, answers: Answers, model: Path
) -> None:
    answers.given["POST", "/v1/uploads"] = [problem(503, "unavailable")]
    client.upload(model)
    assert [len(s.body) for s in answers.of("POST", "/v1/uploads")] == [4000, 4000]


def test_a_refusal_has_every_problem_with_its_next_step(client: Client, answers: Answers) -> None:
    problems = [
        {"field": "training.dataset.digest", "problem": "is missing"},
        {"field": "signature", "problem": "is missing"},
        {"field": "base", "problem": "prod is no version"},
    ]
    answers.fixed["POST", "/v1/models/churn/versions"] = problem(
        422, "registration_refused", problems=problems
    )
    with pytest.raises(Refused) as refused:
        client.publish("churn", draft=True).wait()
    assert refused.value.problems == (
        Problem("training.dataset.digest", "is missing"),
        Problem("signature", "is missing"),
        Problem("compare_with", "prod is no version"),
    )
    assert "compare_with: prod is no version" in refused.value.detail
    assert [one["field"] for one in refused.value.facts["problems"]][-1] == "compare_with"
    assert "draft=True" in refused.value.advice


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, RuleBroken),
        (412, Stale),
        (413, TooLarge),
        (422, Invalid),
        (428, PreconditionRequired),
        (500, Failed),
        (503, Unavailable),
    ],
)
def test_each_problem_is_one_typed_exception_with_its_code(
    client: Client, answers: Answers, status: int, kind: type
) -> None:
    answers.fixed["GET", "/v1/models/x"] = problem(status, "some_code", needed="engineer")
    with pytest.raises(kind) as raised:
        client.model("x")
    assert (raised.value.code, raised.value.detail, raised.value.facts) == (
        "some_code",
        "it is some_code",
        {"needed": "engineer"},
    )
    assert raised.value.advice


def test_a_busy_service_gets_the_request_again_with_the_same_idempotency_key(
    client: Client, answers: Answers
) -> None:
    answers.next = [problem(503, "unavailable"), problem(503, "unavailable")]
    answers.fixed["POST", "/v1/models"] = JSONResponse({"name": "churn"}, 201)
    client.create_model("churn")
    keys = {s.headers["idempotency-key"] for s in answers.of("POST", "/v1/models")}
    assert (len(answers.seen), len(keys)) == (3, 1)


def test_retries_end(client: Client, answers: Answers) -> None:
    answers.next = [problem(503, "unavailable") for _ in range(9)]
    with pytest.raises(Unavailable):
        client.create_model("churn")
    assert len(answers.seen) == QUICK.attempts


def test_an_unreachable_service_is_named(profile: Profile) -> None:
    with (
        Client(Profile(url="http://127.0.0.1:9", cache_dir=profile.cache_dir), patience=QUICK) as client,
        pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"),
    ):
        client.models()


async def test_one_last_report_that_is_refused_takes_no_other_with_it(
    profile: Profile, answers: Answers
) -> None:
    for number in ("1", "2", "3"):
        answers.has("churn", number, {"model.onnx": b"weights"}, int(number))
    client = AsyncClient(profile, patience=QUICK)
    for number in ("1", "2", "3"):
        await client.load(f"churn@{number}")
    answers.fixed["POST", "/v1/usage"] = problem(403, "role_missing")
    await client.close_at_exit()
    assert len(answers.of("POST", "/v1/usage")) == 3


def test_a_callback_that_calls_its_client_gets_an_error_instead_of_a_deadlock(
    client: Client, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    with pytest.raises(CalledFromCallback, match="when the first call has returned"):
        client.load("churn@3", progress=lambda *_: client.load("churn@3"))
    assert client.load("churn@3").file().read_bytes() == b"weights"


def test_uses_are_counted_and_reported_by_window(profile: Profile, answers: Answers) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights"})
    with Client(profile, patience=QUICK) as client:
        loaded = client.load("churn@production")
        loaded.used(41)
        client.load("churn@production")
    (report,) = answers.of("POST", "/v1/usage")
    result = json.loads(report.body)
    assert (result["model"], result["number"], result["count"], result["environment"]) == (
        "churn",
        3,
        43,
        "production",
    )
    assert result["window_start"] < result["window_end"]


def test_a_report_that_could_not_be_sent_is_kept_under_its_id(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    client.load("churn@3")
    answers.fixed["POST", "/v1/usage"] = problem(503, "unavailable")
    client.report_usage()
    del answers.fixed["POST", "/v1/usage"]
    client.report_usage()
    ids = {s.headers["idempotency-key"] for s in answers.of("POST", "/v1/usage")}
    assert len(ids) == 1
    client.report_usage()
    assert len(answers.of("POST", "/v1/usage")) == QUICK.attempts + 1


def test_a_report_that_is_refused_is_not_sent_again(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    client.load("churn@3")
    answers.fixed["POST", "/v1/usage"] = problem(403, "role_missing")
    client.report_usage()
    client.report_usage()
    assert len(answers.of("POST", "/v1/usage")) == 1


async def test_the_asynchronous_client_is_the_same(profile: Profile, answers: Answers) -> None:
    answers.has("churn", "1.2.0", {"model.onnx": b"weights"})
    async with AsyncClient(profile, patience=QUICK) as client:
        assert (await client.load("churn@1.2.0")).file().read_bytes() == b"weights"


async def test_waiting_for_a_kafka_message_ends_with_the_version_the_refusal_or_a_timeout(
    profile: Profile, answers: Answers
) -> None:
    transport = Transport(profile, QUICK)
    answers.publications = {
        "a": VERSION | {"state": "existing"},
        "b": {
            "state": "refused",
            "model": "churn",
            "problems": [{"field": "signature", "problem": "is missing"}],
        },
    }
    assert (await outcome(transport, TrainedMessage("a", "churn", ""), 5)).new is False
    with pytest.raises(Refused, match="signature"):
        await outcome(transport, TrainedMessage("b", "churn", ""), 5)
    with pytest.raises(TimedOut):
        await outcome(transport, TrainedMessage("c", "churn", ""), 0.06)
    await transport.close()


@pytest.mark.parametrize(("signed_by", "query"), [("ci-signing", "ci-signing"), ("", None)])
async def test_the_outcome_is_that_of_the_publisher_who_signed_the_message(
    profile: Profile, answers: Answers, signed_by: str, query: str | None
) -> None:
    transport = Transport(profile, QUICK)
    answers.publications = {"a": VERSION | {"state": "existing"}}
    await outcome(transport, TrainedMessage("a", "churn", "sha256:1", publisher=signed_by), 5)
    assert answers.of("GET", "/v1/publications/a")[0].query.get("publisher") == query
    await transport.close()


async def test_a_message_that_was_dead_lettered_raises_its_reason_with_the_first_answer(
    profile: Profile, answers: Answers
) -> None:
    answers.publications["m1"] = {
        "state": "dead_lettered",
        "model": "churn",
        "code": "role_missing",
        "problems": [{"field": "", "problem": "publisher:nightly needs the role 'publisher'"}],
    }
    transport = Transport(profile, QUICK)
    with pytest.raises(DeadLettered, match=r"\(role_missing\): publisher:nightly needs the role") as raised:
        await outcome(transport, TrainedMessage("m1", "churn", ""), 60)
    assert raised.value.facts["code"] == "role_missing"
    assert len(answers.of("GET", "/v1/publications/m1")) == 1
    await transport.close()


def test_lists_are_read_page_after_page(client: Client, answers: Answers) -> None:
    answers.next = [
        JSONResponse({"items": [{"n": 1}, {"n": 2}], "next_page_token": "t"}),
        JSONResponse({"items": [{"n": 3}], "next_page_token": ""}),
    ]
    assert [m["n"] for m in client.models()] == [1, 2, 3]
    assert [s.query.get("page_token") for s in answers.seen] == [None, "t"]


def test_where_every_version_stands_and_how_often_it_was_used_are_whole(
    client: Client, answers: Answers
) -> None:
    pages = [
        {
            "policy": {},
            "versions": [{"number": n}],
            "days": [{"number": n}],
            "next_page_token": "t" if n == 1 else "",
        }
        for n in (1, 2)
    ]
    answers.fixed["GET", "/v1/cleanup-runs"] = JSONResponse({"items": []})
    client.cleanup_runs()  # discovers the URL of cleanup
    for ask, kinds in ((client.retention, ("versions",)), (client.usage, ("versions", "days"))):
        answers.next = [JSONResponse(page) for page in pages]
        found = ask("churn")
        assert [[one["number"] for one in found[kind]] for kind in kinds] == [[1, 2]] * len(kinds)
        assert not found["next_page_token"]


def test_a_key_whose_only_answer_was_lost_is_an_error(client: Client, answers: Answers) -> None:
    lost = {"subject": "person:ann", "key_id": "k2", "algorithm": "hmac-sha256", "api_key": None}
    answers.fixed["POST", "/v1/access/identities/person:ann/keys"] = JSONResponse(lost, 201)
    with pytest.raises(RegistaError, match="k2 was issued") as raised:
        client.issue_key("person:ann")
    assert "rotate" in raised.value.advice


def test_a_rotation_whose_answer_was_lost_revokes_the_unseen_key_and_issues_another(
    client: Client, answers: Answers
) -> None:
    keys = "/v1/access/identities/person:ann/keys"
    answers.fixed["GET", "/v1/access/identities/person:ann"] = JSONResponse(
        {"subject": "person:ann", "keys": [{"key_id": "old"}]}
    )
    issued = {"subject": "person:ann", "algorithm": "hmac-sha256"}
    answers.given["POST", keys] = [
        JSONResponse({**issued, "key_id": "unseen", "api_key": None}, 201),
        JSONResponse({**issued, "key_id": "new", "api_key": "rg_new"}, 201),
    ]
    for key_id in ("unseen", "old"):
        answers.fixed["DELETE", f"{keys}/{key_id}"] = JSONResponse({})
    got = client.rotate_key("person:ann", "old")
    assert (got["api_key"], got["old_revoked"]) == ("rg_new", True)
    assert [(seen.method, seen.path.removeprefix(keys)) for seen in answers.seen[1:]] == [
        ("POST", ""),
        ("DELETE", "/unseen"),
        ("POST", ""),
        ("DELETE", "/old"),
    ]


def test_a_decision_names_the_revision_that_was_seen(client: Client, answers: Answers) -> None:
    for action in ("approve", "reject"):
        answers.fixed["POST", f"/v1/reviews/r1:{action}"] = JSONResponse({"review_id": "r1"})
    client.approve("r1", revision=4)
    client.reject("r1", "no", revision=5)
    assert [seen.headers["if-match"] for seen in answers.seen if seen.method == "POST"] == ['"4"', '"5"']
    assert not answers.of("GET", "/v1/reviews/r1")


@pytest.mark.parametrize("reference", ["churn", "@3", "churn@", ""])
def test_a_reference_without_a_version_is_refused_with_an_example(client: Client, reference: str) -> None:
    with pytest.raises(Invalid, match="names no version"):
        client.load(reference)


def test_a_url_that_is_not_a_registry_is_named(client: Client, answers: Answers) -> None:
    answers.fixed["GET", "/v1/models"] = Response("<html>hello</html>")
    with pytest.raises(Unavailable, match="is this the registry's URL"):
        client.models()


def test_a_wrong_argument_is_named_with_the_nearest_one(answers: Answers, profile: Profile) -> None:
    client = Client(profile, patience=QUICK)
    with pytest.raises(WrongArgument, match="publish has no argument 'owners'") as refused:
        client.publish("churn", owners="me")  # type: ignore[call-arg]
    assert "Did you mean 'owner'?" in refused.value.advice
    assert isinstance(refused.value, TypeError)
    with pytest.raises(WrongArgument, match="missing 1 required positional argument: 'model'"):
        client.publish()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "named"),
    [({"run": {"config": {}}}, "`run`"), ({"artifact": 5}, "artifact"), ({"tags": ["a"]}, "`tags`")],
)
def test_a_value_of_another_type_is_named(
    answers: Answers, profile: Profile, given: dict[str, Any], named: str
) -> None:
    with Client(profile, patience=QUICK) as client, pytest.raises(Invalid, match=named):
        client.publish("churn", draft=True, **given)
