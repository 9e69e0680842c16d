"""The client in a CI job: where the token is, what it is exchanged for, and which credential counts."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.responses import JSONResponse

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import NotConfigured, Unauthorized
from regista.job import kept
from regista.job.exchange import Job
from regista.job.sources import FILE, GITHUB_SECRET, GITHUB_URL, VARIABLE, Source, source_of

from .conftest import QUICK, Answers, problem

EXCHANGE = "/v1/tokens:exchange"
TRUST = {
    "trust_id": "t-1",
    "issuer": "https://ci.example",
    "claims": [{"name": "repository", "value": "acme/fraud"}],
    "publisher": "ci",
    "namespaces": ["fraud"],
    "audience": "regista",
    "live_keys": 1,
    "added_by": "root",
}


def issued(key: str = "rg_JOB_1", seconds: int = 300, **more: Any) -> JSONResponse:
    answer = {"access_token": key, "expires_in": seconds, "publisher": "ci", "started_by": "octocat"}
    return JSONResponse({**answer, "signing_key_id": None, **more})


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test a machine that keeps no key."""
    monkeypatch.setenv("REGISTA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(kept, "_MEMORY", {})
    for name in (VARIABLE, FILE, GITHUB_URL, GITHUB_SECRET):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def job(answers: Answers, profile: Profile) -> Profile:
    answers.fixed["POST", EXCHANGE] = issued()
    answers.fixed["GET", "/v1/access/me"] = JSONResponse({"subject": "ci"})
    return replace(profile, api_key="")


def forms(answers: Answers) -> list[dict[str, str]]:
    return [
        {name: value for name, (value,) in parse_qs(one.body.decode()).items()}
        for one in answers.of("POST", EXCHANGE)
    ]


def keys_used(answers: Answers) -> list[str]:
    return [one.headers.get("authorization", "") for one in answers.of("GET", "/v1/access/me")]


def test_a_job_with_a_token_exchanges_it_once_and_sends_the_key(
    job: Profile, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "a.b.c")
    for _ in range(2):
        with Client(job, patience=QUICK) as client:
            client.whoami()
    (form,) = forms(answers)
    assert (form["subject_token"], "public_key" in form) == ("a.b.c", False)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert keys_used(answers) == ["Bearer rg_JOB_1"] * 2
    assert "authorization" not in answers.of("POST", EXCHANGE)[0].headers


def test_an_api_key_wins_over_the_token_of_a_job(
    job: Profile, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "a.b.c")
    with Client(replace(job, api_key="rg_OWN_1"), patience=QUICK) as client:
        client.whoami()
    assert (forms(answers), keys_used(answers)) == ([], ["Bearer rg_OWN_1"])


def test_the_key_is_kept_for_the_next_process_of_the_job_and_only_its_owner_reads_it(
    job: Profile, answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = Job(job, Source(VARIABLE, "a.b.c"), {}).key()
    monkeypatch.setattr(kept, "_MEMORY", {})  # as another process
    assert Job(job, Source(VARIABLE, "a.b.c"), {}).key() == first
    (file,) = (tmp_path / "jobs").glob("*.json")
    assert (len(forms(answers)), file.stat().st_mode & 0o777) == (1, 0o600)


def test_a_key_that_has_ended_is_neither_used_nor_kept(
    job: Profile, answers: Answers, tmp_path: Path
) -> None:
    answers.given["POST", EXCHANGE] = [issued(seconds=0), issued("rg_JOB_2")]
    Job(job, Source(VARIABLE, "a.b.c"), {}).key()
    assert Job(job, Source(VARIABLE, "a.b.c"), {}).key().api_key == "rg_JOB_2"
    Job(job, Source(VARIABLE, "d.e.f"), {}).key()
    assert len(list((tmp_path / "jobs").glob("*.json"))) == 2


def test_a_file_is_read_again_before_each_exchange(job: Profile, answers: Answers, tmp_path: Path) -> None:
    token = tmp_path / "token"
    answers.given["POST", EXCHANGE] = [issued(seconds=0), issued("rg_JOB_2")]
    of_pod = Job(job, Source(FILE, str(token)), {})
    for text in ("a.b.c\n", "d.e.f\n"):
        token.write_text(text)
        of_pod.key()
    assert [form["subject_token"] for form in forms(answers)] == ["a.b.c", "d.e.f"]
    with pytest.raises(NotConfigured, match="cannot be read"):
        Job(job, Source(FILE, str(tmp_path / "none")), {}).key()


def test_a_job_of_github_requests_a_token_for_the_audience(job: Profile, answers: Answers) -> None:
    answers.fixed["GET", "/oidc"] = JSONResponse({"value": "g.h.i"})
    environment = {
        GITHUB_URL: f"{answers.url}/oidc?api-version=2",
        GITHUB_SECRET: "of-the-runner",
        "REGISTA_TRUST": "t-1",
    }
    source = source_of(job, environment)
    assert source is not None
    assert "of-the-runner" not in repr(source)
    Job(job, source, environment).key()
    (asked,) = answers.of("GET", "/oidc")
    assert asked.query == {"api-version": "2", "audience": "regista"}
    assert asked.headers["authorization"] == "Bearer of-the-runner"
    assert (forms(answers)[0]["subject_token"], forms(answers)[0]["trust"]) == ("g.h.i", "t-1")


def test_where_kafka_is_configured_the_public_half_of_a_new_key_goes_with_the_token(
    job: Profile, answers: Answers
) -> None:
    answers.fixed["POST", EXCHANGE] = issued(signing_key_id="K9")
    on_kafka = Job(replace(job, kafka_bootstrap="kafka:9092"), Source(VARIABLE, "a.b.c"), {})
    key = on_kafka.signing_key()
    assert (key.key_id, key.subject) == ("K9", "ci")
    assert forms(answers)[0]["public_key"] == key.public.hex()
    answers.fixed["POST", EXCHANGE] = issued()
    with pytest.raises(Unauthorized, match="no_signing_key"):
        Job(job, Source(VARIABLE, "x.y.z"), {}).signing_key()


@pytest.mark.parametrize(
    ("code", "advice"), [("token_used", "counts once"), ("token_refused", "regista access trust list")]
)
def test_a_refused_token_is_not_sent_again_and_the_error_names_what_to_do(
    job: Profile, answers: Answers, code: str, advice: str
) -> None:
    answers.fixed["POST", EXCHANGE] = problem(400, code, error="invalid_request")
    with pytest.raises(Unauthorized, match=code) as refused:
        Job(job, Source(VARIABLE, "a.b.c"), {}).key()
    assert (advice in refused.value.advice, len(forms(answers))) == (True, 1)


def test_outside_of_a_job_nothing_is_exchanged(job: Profile) -> None:
    assert source_of(job, {}) is None
    assert source_of(job, {GITHUB_URL: "https://github.example"}) is None
    assert source_of(replace(job, url=""), {VARIABLE: "a.b.c"}) is None


def test_a_key_is_replaced_before_it_ends() -> None:
    now = time.time()
    key = kept.JobKey("rg", "ci", "", now + 59, 300)
    assert (key.fresh(now), key.valid(now), key.valid(now + 60)) == (False, True, False)


def test_the_command_line_adds_lists_and_removes_trusts(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/trusts"] = JSONResponse(TRUST, 201)
    answers.fixed["GET", "/v1/trusts"] = JSONResponse({"items": [TRUST]})
    answers.fixed["DELETE", "/v1/trusts/t-1"] = JSONResponse(None, 204)
    words = ("--issuer", "https://ci.example", "--claim", "repository=acme/fraud", "--publisher", "ci")
    without = run("access", "trust", "add", *words)
    assert (without.exit_code, "--namespace" in without.stderr) == (2, True)
    added = run("access", "trust", "add", *words, "--namespace", "fraud")
    assert (added.exit_code, "t-1" in added.stdout) == (0, True), added.output
    assert b'"value":"acme/fraud"' in answers.of("POST", "/v1/trusts")[0].body
    listed = run("access", "trust", "list")
    assert "repository=acme/fraud" in listed.stdout
    removed = run("access", "trust", "remove", "t-1", "--reason", "it moved")
    assert removed.exit_code == 0, removed.output
    assert answers.of("DELETE", "/v1/trusts/t-1")[0].query == {"reason": "it moved"}
