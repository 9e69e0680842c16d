"""A source that is busy, gone, or answers nonsense: the importer waits as stated, and names what to do."""

from __future__ import annotations

import email.utils
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from regista.errors import Forbidden, Invalid, NotFound, RegistaError, Unauthorized
from regista.importing.files import CopiedFile, Files, LocalFiles, SourceFile, Unreachable, listed
from regista.importing.mlflow import MlflowServer, read_address
from regista.importing.mlflow_files import LoggedModelFiles, ProxiedFiles, RunFiles
from regista.importing.requests import BROKE_OFF, SourceBroken, Waits

from .conftest import Answers

MODELS = "/api/2.0/mlflow/registered-models/search"
EMPTY: dict[str, Any] = {"registered_models": []}


@dataclass
class Clock:
    """A clock that goes forward by itself: it keeps the pauses."""

    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def waits(self, attempts: int = 3) -> Waits:
        return Waits(attempts, first=0.5, longest=1.0, sleep=self.sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def source(answers: Answers, clock: Clock) -> AsyncIterator[MlflowServer]:
    address = read_address(answers.url, {"MLFLOW_TRACKING_TOKEN": "secret"})
    found = MlflowServer(address, waits=clock.waits())
    yield found
    await found.aclose()


async def models(source: MlflowServer) -> list[Any]:
    return [model async for model in source.models()]


async def test_a_busy_server_is_asked_again_after_the_time_that_it_states(
    answers: Answers, source: MlflowServer, clock: Clock
) -> None:
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    answers.given["GET", MODELS] = [
        Response(status_code=429, headers={"Retry-After": "7"}),
        Response(status_code=503, headers={"Retry-After": later}),
        JSONResponse(EMPTY),
    ]
    assert await models(source) == []
    assert clock.pauses[0] == 7
    assert 90 < clock.pauses[1] <= 100


async def test_a_server_that_states_no_time_gets_longer_and_longer_pauses(
    answers: Answers, source: MlflowServer, clock: Clock
) -> None:
    answers.given["GET", MODELS] = [*(Response(status_code=500) for _ in range(2)), JSONResponse(EMPTY)]
    await models(source)
    assert [0.25 <= clock.pauses[0] <= 0.5, 0.5 <= clock.pauses[1] <= 1.0] == [True, True]


async def test_a_server_that_stays_unreachable_ends_the_import_with_what_to_do(clock: Clock) -> None:
    source = MlflowServer(read_address("http://127.0.0.1:9", {}), waits=clock.waits())
    with pytest.raises(SourceBroken) as broken:
        await models(source)
    await source.aclose()
    assert "3 attempts" in broken.value.detail
    assert "continues where it stopped" in broken.value.advice


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (401, Unauthorized, "MLFLOW_TRACKING_TOKEN"),
        (403, Forbidden, "right to read"),
        (404, NotFound, "address"),
        (302, Invalid, "--from"),
    ],
)
async def test_a_refusal_is_not_repeated_and_states_what_to_do(
    answers: Answers, source: MlflowServer, status: int, error: type[RegistaError], advice: str
) -> None:
    answers.fixed["GET", MODELS] = JSONResponse({"message": "token expired\x1b[2J"}, status)
    with pytest.raises(error) as refused:
        await models(source)
    assert advice in refused.value.advice
    assert len(answers.of("GET", MODELS)) == 1


async def test_the_token_is_sent_to_the_source_and_never_to_where_it_redirects(
    answers: Answers, source: MlflowServer
) -> None:
    answers.fixed["GET", MODELS] = RedirectResponse(answers.url + "/elsewhere")
    with pytest.raises(Invalid):
        await models(source)
    assert [seen.headers["authorization"] for seen in answers.seen] == ["Bearer secret"]


@pytest.mark.parametrize("body", ["<html>", "[1]", "{"])
async def test_what_is_no_mlflow_is_named(answers: Answers, source: MlflowServer, body: str) -> None:
    answers.fixed["GET", MODELS] = PlainTextResponse(body)
    with pytest.raises(Invalid, match="source_answer"):
        await models(source)


async def test_all_pages_are_read_and_prompts_are_no_models(answers: Answers, source: MlflowServer) -> None:
    prompt = {"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    answers.given["GET", MODELS] = [
        JSONResponse({"registered_models": [{"name": "a"}, prompt], "next_page_token": "t"}),
        JSONResponse({"registered_models": [{"name": "b"}]}),
    ]
    assert [model["name"] for model in await models(source)] == ["a", "b"]
    assert [seen.query.get("page_token") for seen in answers.seen] == [None, "t"]


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("https://ann:secret@MLflow.example.com:443/prefix/", "https://mlflow.example.com/prefix"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000/?a=b", "http://[::1]:5000"),
    ],
)
def test_the_address_that_versions_keep_has_no_credentials(text: str, uri: str) -> None:
    address = read_address(text, {})
    assert (address.uri, "secret" in repr(address)) == (uri, False)


@pytest.mark.parametrize(
    "text", ["", "sqlite:///mlflow.db", "./mlruns", "databricks", "http://", "http://a:x"]
)
def test_what_is_no_address_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="invalid_source"):
        read_address(text, {})


def test_credentials_in_a_wrong_address_are_not_shown() -> None:
    with pytest.raises(Invalid) as refused:
        read_address("ftp://ann:secret@example.com", {})
    assert "secret" not in str(refused.value)


class Breaking(Files):
    """A file that breaks off after these many bytes, and then has these bytes."""

    def __init__(self, *attempts: tuple[bytes, int]) -> None:
        self._attempts: Iterator[tuple[bytes, int]] = iter(attempts)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        content, most = next(self._attempts)
        for first in range(0, most, 7):
            yield content[first : min(first + 7, most)]
        if most < len(content):
            raise SourceBroken(BROKE_OFF, f"{path} broke off")


CONTENT = bytes(range(250))


async def copied(clock: Clock, *attempts: tuple[bytes, int], size: int = len(CONTENT)) -> bytes:
    file = CopiedFile(Breaking(*attempts), SourceFile("model.bin", size), clock.waits(), None)
    return b"".join([piece async for piece in file()])


async def test_a_file_that_breaks_off_goes_on_where_it_stopped(clock: Clock) -> None:
    assert await copied(clock, (CONTENT, 100), (CONTENT, 30), (CONTENT, 101), (CONTENT, 250)) == CONTENT


async def test_a_file_that_changed_while_it_was_read_is_refused(clock: Clock) -> None:
    with pytest.raises(Invalid, match="other bytes than before"):
        await copied(clock, (CONTENT, 100), (b"x" + CONTENT[1:], 250))


@pytest.mark.parametrize("size", [200, 300])
async def test_a_file_of_another_size_than_listed_is_refused(clock: Clock, size: int) -> None:
    with pytest.raises(Invalid, match="file_changed"):
        await copied(clock, (CONTENT, 250), size=size)


async def test_a_file_that_never_comes_further_ends_after_all_attempts(clock: Clock) -> None:
    with pytest.raises(SourceBroken):
        await copied(clock, *((CONTENT, 100) for _ in range(5)))
    assert len(clock.pauses) == 2


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket/model",
        "mlflow-artifacts://other.example.com/1/model",
        "https://other.example.com/api/2.0/mlflow-artifacts/artifacts/1",
        "file:///etc",
        "/etc",
        "dbfs:/model",
        "",
    ],
)
async def test_no_place_is_read_that_the_caller_did_not_name(source: MlflowServer, location: str) -> None:
    with pytest.raises(Unreachable):
        source.files(location)


@pytest.mark.parametrize(
    "location", ["mlflow-artifacts:/1/a%20b", "{url}/api/2.0/mlflow-artifacts/artifacts/1"]
)
async def test_the_proxy_of_the_source_is_read(answers: Answers, source: MlflowServer, location: str) -> None:
    assert isinstance(source.files(location.format(url=answers.url)), ProxiedFiles)


async def test_what_a_run_or_a_logged_model_owns_is_read_through_the_server(source: MlflowServer) -> None:
    run = {"info": {"run_id": "r", "artifact_uri": "s3://bucket/r/artifacts"}}
    logged = {"info": {"model_id": "m-1", "artifact_uri": "s3://bucket/models/m-1/artifacts/"}}
    assert isinstance(source.files("s3://bucket/r/artifacts/model", run, logged), RunFiles)
    assert isinstance(source.files("s3://bucket/models/m-1/artifacts", run, logged), LoggedModelFiles)
    with pytest.raises(Unreachable):
        source.files("s3://bucket/r/artifacts-of-another/model", run, logged)


def test_a_local_artifact_is_read_only_below_the_folder_that_was_named(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    (inside / "link").symlink_to(outside)
    assert LocalFiles.below(inside, inside)
    for path in (outside, inside / "link", inside / ".." / "outside", Path("/")):
        with pytest.raises(Unreachable, match="is not below"):
            LocalFiles.below(inside, path)


async def test_the_files_of_a_local_artifact_are_those_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.pkl").write_bytes(b"abc")
    (tmp_path / "MLmodel").write_bytes(b"")
    files = LocalFiles.below(tmp_path, tmp_path)
    assert await listed(files) == [SourceFile("MLmodel", 0), SourceFile("data/model.pkl", 3)]
    assert [piece async for piece in files.read("data/model.pkl")] == [b"abc"]


def file_becomes_link(artifact: Path, outside: Path) -> None:
    (artifact / "data" / "model.pkl").unlink()
    (artifact / "data" / "model.pkl").symlink_to(outside / "data" / "model.pkl")


def folder_becomes_link(artifact: Path, outside: Path) -> None:
    (artifact / "data").rename(artifact / "before")
    (artifact / "data").symlink_to(outside / "data")


def artifact_becomes_link(artifact: Path, outside: Path) -> None:
    artifact.rename(artifact.with_name("before"))
    artifact.symlink_to(outside)


def folder_above_becomes_link(artifact: Path, outside: Path) -> None:
    artifact.parent.rename(artifact.parent.with_name("before"))
    (outside / "artifact").symlink_to(outside)
    artifact.parent.symlink_to(outside)


def file_becomes_pipe(artifact: Path, outside: Path) -> None:
    (artifact / "data" / "model.pkl").unlink()
    os.mkfifo(artifact / "data" / "model.pkl")


def file_goes(artifact: Path, outside: Path) -> None:
    (artifact / "data" / "model.pkl").unlink()


@pytest.mark.parametrize(
    "change",
    [
        file_becomes_link,
        folder_becomes_link,
        artifact_becomes_link,
        folder_above_becomes_link,
        file_becomes_pipe,
        file_goes,
    ],
)
async def test_a_planned_file_that_was_replaced_is_not_read(
    tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    artifact, outside = tmp_path / "root" / "run" / "artifact", tmp_path / "outside"
    for folder in (artifact, outside):
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "model.pkl").write_bytes(b"abc")
    files = LocalFiles.below(tmp_path / "root", artifact)
    assert await listed(files) == [SourceFile("data/model.pkl", 3)]
    change(artifact, outside)
    with pytest.raises(Invalid, match="model"):
        assert [piece async for piece in files.read("data/model.pkl")] == []


async def test_an_artifact_that_is_one_file_is_read_and_not_as_a_link(tmp_path: Path) -> None:
    model, outside = tmp_path / "root" / "model.pkl", tmp_path / "outside"
    model.parent.mkdir()
    model.write_bytes(b"abc")
    outside.write_bytes(b"def")
    files = LocalFiles.below(tmp_path / "root", model)
    assert [piece async for piece in files.read((await listed(files))[0].path)] == [b"abc"]
    model.unlink()
    model.symlink_to(outside)
    with pytest.raises(Invalid, match="model"):
        assert [piece async for piece in files.read("model.pkl")] == []


async def test_nothing_outside_of_an_artifact_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "root" / "artifact").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"abc")
    files = LocalFiles.below(tmp_path / "root", tmp_path / "root" / "artifact")
    with pytest.raises(Invalid, match="outside"):
        assert [piece async for piece in files.read("../../outside")] == []


@pytest.mark.parametrize("names", [[], [".."], ["a", "A"], ["con"], [f"f{n}" for n in range(2_001)]])
async def test_an_artifact_that_cannot_be_stored_is_no_artifact(
    answers: Answers, source: MlflowServer, names: list[str]
) -> None:
    files = [{"path": name, "is_dir": False, "file_size": 1} for name in names]
    answers.fixed["GET", "/api/2.0/mlflow-artifacts/artifacts"] = JSONResponse({"files": files})
    with pytest.raises(Unreachable):
        await listed(source.files("mlflow-artifacts:/1"))


async def test_folders_that_contain_themselves_end(answers: Answers, source: MlflowServer) -> None:
    answers.fixed["GET", "/api/2.0/mlflow-artifacts/artifacts"] = JSONResponse(
        {"files": [{"path": name, "is_dir": True} for name in "ab"]}
    )
    with pytest.raises(Unreachable, match="nested deeper"):
        await listed(source.files("mlflow-artifacts:/1"))
