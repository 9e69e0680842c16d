"""Loading while the registry does not answer: what was loaded before is used, and its age reported."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import NotFound, RuleBroken, Unavailable

from .conftest import QUICK, Answers, problem

FILES = {"model.onnx": b"weights"}


@pytest.fixture
def hung() -> Iterator[str]:
    """The address of a registry that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def loaded_once(profile: Profile, answers: Answers, *references: str) -> dict[str, Any]:
    version = answers.has("churn", "@production", FILES)
    answers.versions["churn", "1.2.0"] = version
    with Client(profile, patience=QUICK) as client:
        for reference in references or ("churn@production",):
            client.load(reference)
    return version


def outage(answers: Answers) -> None:
    answers.next = [problem(503, "database_unavailable") for _ in range(200)]


@pytest.mark.parametrize("reference", ["churn@production", "churn@3", "churn@1.2.0"])
def test_a_version_in_the_cache_is_loaded_while_the_registry_is_unavailable(
    profile: Profile, answers: Answers, reference: str, caplog: pytest.LogCaptureFixture
) -> None:
    loaded_once(profile, answers)
    outage(answers)
    with caplog.at_level(logging.WARNING, "regista"), Client(profile, patience=QUICK) as client:
        loaded = client.load(reference)
    assert (loaded.number, loaded.file().read_bytes(), loaded.offline) == (3, b"weights", True)
    assert datetime.now(UTC) - loaded.confirmed_at < timedelta(minutes=1)
    assert f"{reference} is number 3 from the cache" in caplog.text
    assert "last confirmed" in caplog.text


def test_a_registry_that_hangs_delays_a_cached_version_by_a_few_seconds_at_most(
    profile: Profile, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regista.loading.finding.WITH_A_COPY", Patience(attempts=2, total=0.2))
    version = loaded_once(profile, answers)
    answers.silent = True
    began = time.monotonic()
    with Client(replace(profile, usage_window=0)) as client:
        loaded = client.load("churn@production")
    assert time.monotonic() - began < 30
    assert loaded.offline
    assert loaded.digest == version["artifact"]["digest"]


def test_a_registry_that_hangs_is_named_when_the_version_is_not_in_the_cache(
    profile: Profile, hung: str
) -> None:
    with (
        Client(replace(profile, url=hung), patience=Patience(total=0.2)) as client,
        pytest.raises(Unavailable, match=r"the registry at http://\S+ did not answer") as raised,
    ):
        client.load("churn@3")
    assert raised.value.code == "unreachable"


def test_offline_sends_no_request(profile: Profile, answers: Answers) -> None:
    loaded_once(profile, answers)
    answers.seen.clear()
    with Client(profile, patience=QUICK) as client:
        assert client.load("churn@production", offline=True).offline
        assert client.load("churn@production", offline=True).version["stage"] == "Production"
    assert answers.seen == []


def test_offline_names_what_was_never_loaded(profile: Profile, answers: Answers) -> None:
    loaded_once(profile, answers)
    with Client(profile, patience=QUICK) as client, pytest.raises(NotFound, match="churn@4") as raised:
        client.load("churn@4", offline=True)
    assert raised.value.code == "not_cached"


def test_a_copy_is_not_used_where_the_caller_wants_the_registrys_word(
    profile: Profile, answers: Answers
) -> None:
    loaded_once(profile, answers)
    outage(answers)
    with Client(profile, patience=QUICK) as client, pytest.raises(Unavailable):
        client.load("churn@production", offline=False)


def test_a_withdrawal_that_this_machine_learned_of_holds_offline_for_every_spelling(
    profile: Profile, answers: Answers
) -> None:
    version = loaded_once(profile, answers)
    version["withdrawn"] = "poisoned"
    with Client(profile, patience=QUICK) as client:
        with pytest.raises(RuleBroken):
            client.load("churn@3")
        for reference in ("churn@production", "churn@3", "churn@1.2.0"):
            with pytest.raises(RuleBroken, match="withdrawn"):
                client.load(reference, offline=True)
        outage(answers)
        with pytest.raises(RuleBroken, match="withdrawn"):
            client.load("churn@production")


def test_a_withdrawal_that_was_undone_holds_no_longer(profile: Profile, answers: Answers) -> None:
    version = loaded_once(profile, answers)
    version["withdrawn"] = "a mistake"
    with Client(profile, patience=QUICK) as client:
        with pytest.raises(RuleBroken):
            client.load("churn@3")
        version["withdrawn"] = None
        client.load("churn@3")
        assert client.load("churn@production", offline=True).number == 3


@pytest.mark.parametrize("answer", [problem(404, "unknown_alias"), problem(409, "rollout_stopped")])
def test_an_alias_that_the_registry_no_longer_has_is_no_longer_in_the_cache(
    profile: Profile, answers: Answers, answer: Any
) -> None:
    loaded_once(profile, answers)
    with Client(profile, patience=QUICK) as client:
        answers.fixed["GET", "/v1/resolve/churn@production"] = answer
        with pytest.raises((NotFound, RuleBroken)):
            client.load("churn@production")
        with pytest.raises(NotFound, match="not loaded on this machine"):
            client.load("churn@production", offline=True)
        assert client.load("churn@3", offline=True).number == 3


def test_an_alias_that_moved_gives_the_version_that_was_confirmed_last(
    profile: Profile, answers: Answers
) -> None:
    loaded_once(profile, answers)
    answers.has("churn", "@production", {"model.onnx": b"better"}, number=4)["semver"] = "1.3.0"
    with Client(profile, patience=QUICK) as client:
        client.load("churn@production")
        outage(answers)
        assert client.load("churn@production").file().read_bytes() == b"better"
        assert client.load("churn@3").file().read_bytes() == b"weights"


def test_damaged_files_of_the_cache_are_not_loaded_offline(profile: Profile, answers: Answers) -> None:
    loaded_once(profile, answers)
    (file,) = (profile.cache / "artifacts").glob("*/model.onnx")
    file.chmod(0o600)
    file.write_bytes(b"forgery")
    with Client(profile, patience=QUICK) as client:
        with pytest.raises(NotFound, match="damaged"):
            client.load("churn@production", offline=True)
        outage(answers)
        with pytest.raises(Unavailable, match="database_unavailable"):
            client.load("churn@production")


def test_the_cache_of_another_registry_is_another_one(profile: Profile, answers: Answers) -> None:
    loaded_once(profile, answers)
    other = replace(profile, url="http://127.0.0.1:9")
    with Client(other, patience=QUICK) as client, pytest.raises(NotFound):
        client.load("churn@production", offline=True)


def test_a_record_that_was_cut_off_is_no_record(profile: Profile, answers: Answers) -> None:
    loaded_once(profile, answers)
    for record in (profile.cache / "confirmed").rglob("*.json"):
        record.write_text("{")
    with Client(profile, patience=QUICK) as client, pytest.raises(NotFound):
        client.load("churn@production", offline=True)


def test_the_command_line_downloads_from_the_cache_and_reports_the_age(
    run: Any, answers: Answers, tmp_path: Path
) -> None:
    answers.has("churn", "@production", FILES)
    run("versions", "download", "churn@production")
    answers.seen.clear()
    result = run("versions", "download", "churn@production", "--offline", "--to", str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"weights"
    assert "last confirmed" in result.stderr
    assert answers.seen == []
    shown = json.loads(run("versions", "download", "churn@production", "--offline", "--json").stdout)
    assert shown["offline"] is True
    assert shown["confirmed_at"].endswith("Z")
