"""Loading: what is asked, what is kept in the cache, and what is not believed."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import (
    Damaged,
    Failed,
    Invalid,
    RuleBroken,
    TimedOut,
)

from .conftest import Answers


def test_loading_gives_files_that_hash_to_what_was_registered(client: Client, answers: Answers) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights", "labels/a b.txt": b"yes\nno"})
    loaded = client.load("churn@production")
    assert (loaded.model, loaded.number, loaded.semver) == ("churn", 3, "1.2.0")
    assert loaded.file("labels/a b.txt").read_bytes() == b"yes\nno"
    with pytest.raises(Invalid, match="2 files"):
        loaded.file()
    with pytest.raises(Invalid):
        loaded.file("../../../etc/passwd")


def test_a_second_load_downloads_nothing(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    assert client.load("churn@3").path == client.load("churn@3").path
    assert len([s for s in answers.seen if s.path.startswith("/v1/artifacts")]) == 1


def test_an_alias_whose_artifact_is_here_costs_one_small_request(client: Client, answers: Answers) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights"})
    first = client.load("churn@production")
    answers.seen.clear()
    assert client.load("churn@production").path == first.path
    assert [s.path for s in answers.seen] == ["/v1/resolve/churn@production"]


@pytest.mark.parametrize("state", ["withdrawn", "available"])
def test_a_withdrawn_version_is_not_loaded_even_when_its_files_are_here(
    client: Client, answers: Answers, state: str
) -> None:
    """Also while the artifact service has not received the withdrawal, such as in an outage."""
    version = answers.has("churn", "@production", {"model.onnx": b"weights"})
    client.load("churn@production")
    version |= {"withdrawn": "the data set is poisoned", "artifact_state": state}
    for reference in ("churn@production", "churn@3"):
        with pytest.raises(RuleBroken, match="poisoned"):
            client.load(reference)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"retired": {"rule": "unused"}, "artifact_state": "expired"}, "version_retired"),
        ({"artifact_state": "quarantined"}, "artifact_not_available"),
    ],
)
def test_a_withdrawn_or_retired_version_is_not_loaded_even_from_the_cache(
    client: Client, answers: Answers, facts: Any, code: str
) -> None:
    version = answers.has("churn", "@production", {"model.onnx": b"weights"})
    client.load("churn@3")
    version |= facts
    for reference in ("churn@production", "churn@3"):
        with pytest.raises(RuleBroken) as refused:
            client.load(reference)
        assert refused.value.code == code


def test_a_version_loaded_as_soon_as_it_is_registered_is_waited_for_until_its_bytes_are_verified(
    client: Client, answers: Answers
) -> None:
    version = answers.has("churn", "3", {"model.onnx": b"weights"})
    answers.next = [JSONResponse(version | {"artifact_state": None})] * 3
    assert client.load("churn@3").file().read_bytes() == b"weights"
    assert len(answers.of("GET", "/v1/models/churn/versions/3")) == 4


def test_the_wait_for_verified_bytes_ends(profile: Profile, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})["artifact_state"] = None
    with (
        Client(profile, patience=Patience(first=0.001, longest=0.01, total=0.2)) as client,
        pytest.raises(TimedOut, match="not verified"),
    ):
        client.load("churn@3")
    assert answers.of("GET", "/v1/artifacts") == []


def test_a_list_of_files_altered_in_the_cache_is_not_believed(
    client: Client, answers: Answers, profile: Profile
) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights"})
    first = client.load("churn@production")
    (listed,) = (profile.cache / "manifests").iterdir()
    for altered in (b"[]", b"{", listed.read_bytes().replace(b"model.onnx", b"other.onnx")):
        listed.write_bytes(altered)
        assert client.load("churn@production").path == first.path


def test_a_draft_without_an_artifact_is_named(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})["artifact"] = None
    with pytest.raises(RuleBroken, match="no artifact"):
        client.load("churn@3")


def test_a_draft_is_not_loaded_before_it_is_complete(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"}).update(stage="Draft", semver="")
    with pytest.raises(RuleBroken, match="version_draft"):
        client.load("churn@3")


def test_a_file_altered_in_the_cache_is_downloaded_again(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    client.load("churn@3").file().write_bytes(b"WEIGHTS")
    assert client.load("churn@3").file().read_bytes() == b"weights"


@pytest.mark.parametrize("stored", [b"weighty", b"weights and more", b"w"])
def test_bytes_that_are_not_those_registered_are_never_returned(
    client: Client, answers: Answers, profile: Profile, stored: bytes
) -> None:
    version = answers.has("churn", "3", {"model.onnx": b"weights"})
    answers.files[f"{version['artifact']['digest']}/model.onnx"] = stored
    with pytest.raises(Damaged, match="not the file that was registered"):
        client.load("churn@3")
    assert [p for p in profile.cache.rglob("*") if p.is_file()] == []


def test_a_folder_that_appears_during_the_download_is_believed_only_with_the_right_bytes(
    client: Client, answers: Answers, profile: Profile
) -> None:
    version = answers.has("fraud.cards", "@production", {"weights": b"right"})
    final = profile.cache / "artifacts" / version["artifact"]["digest"].removeprefix("sha256:")

    def appear(*_: object) -> None:
        final.mkdir(exist_ok=True)
        (final / "weights").write_bytes(b"wrong")

    with pytest.raises(Damaged, match="not the file that was registered"):
        client.load("fraud.cards@production", progress=appear)


def test_a_manifest_that_does_not_hash_to_the_versions_digest_is_refused(
    client: Client, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})["artifact"]["digest"] = "sha256:" + "0" * 64
    with pytest.raises(Failed, match="do not hash"):
        client.load("churn@3")


def test_a_path_that_leaves_the_cache_is_refused(client: Client, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})["artifact"]["files"][0]["path"] = "../../evil"
    with pytest.raises(Invalid, match="leaves the artifact"):
        client.load("churn@3")
