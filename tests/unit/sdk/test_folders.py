"""Publishing folders: one progress bar for all files, links to files, and folders without files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress
from starlette.responses import JSONResponse

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import Invalid
from regista.files import empty_folders
from regista.progress import Bar
from regista.publishing.data_digest import data_digest
from tests.unit.sdk.conftest import API_KEY, QUICK, Answers


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Return a folder of links to files elsewhere, as Hugging Face makes it."""
    (tmp_path / "blobs").mkdir()
    folder = tmp_path / "snapshots" / "5c3fe2"
    (folder / "onnx").mkdir(parents=True)
    for name, content in {"config.json": b"{}", "onnx/model.bin": b"weights"}.items():
        blob = tmp_path / "blobs" / name.replace("/", "-")
        blob.write_bytes(content)
        (folder / name).symlink_to(os.path.relpath(blob, (folder / name).parent))
    return folder


def test_one_bar_shows_all_files_and_its_cost_does_not_grow_with_them() -> None:
    with Progress(console=Console(file=io.StringIO()), auto_refresh=False) as bars:
        shown = Bar(lambda: bars, "uploading")
        shown.begin(3000, 3000 * 10)
        for number in range(3000):
            for done in (4, 10):
                shown(f"file-{number}", done, 10)
        assert len(bars.tasks) == 1
        assert (bars.tasks[0].completed, bars.tasks[0].total) == (30_000, 30_000)
        assert bars.tasks[0].description == "uploading 3000 files"


def test_a_file_that_starts_again_is_counted_once() -> None:
    with Progress(console=Console(file=io.StringIO()), auto_refresh=False) as bars:
        shown = Bar(lambda: bars, "uploading")
        for done in (8, 3, 10):
            shown("model.onnx\x1b[31m", done, 10)
        assert (bars.tasks[0].completed, bars.tasks[0].total) == (10, 10)
        assert "\x1b" not in bars.tasks[0].description


def test_publish_shows_one_bar_on_a_terminal(answers: Answers, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(100):
        (folder / f"shard-{number}.bin").write_bytes(b"x" * 10)
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(
        {"model": "churn", "number": 1, "stage": "Draft"}, 201
    )
    terminal, other_end = pty.openpty()
    environment = {
        "REGISTA_URL": answers.url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CONFIG": "/nowhere",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
    }
    done = subprocess.Popen(
        [sys.executable, "-c", "from regista.cli import main; main()", "publish", "churn", folder, "--draft"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=other_end,
        text=True,
    )
    os.close(other_end)
    shown = b""
    with contextlib.suppress(OSError):  # the program closed its end
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    assert done.communicate(timeout=60)[0].startswith("registered churn")
    assert b"uploading 100 files" in shown
    assert b"shard-" not in shown


def test_links_are_refused_by_name_with_the_option_that_reads_them(
    answers: Answers, profile: Profile, snapshot: Path
) -> None:
    with Client(profile, patience=QUICK) as client, pytest.raises(Invalid) as refused:
        client.publish("encoder", snapshot, draft=True)
    assert "these are links: config.json, onnx/model.bin" in refused.value.detail
    assert "--follow-links" in refused.value.advice
    assert "follow_links=True" in refused.value.advice
    assert answers.of("POST", "/v1/uploads") == []


@pytest.mark.parametrize("target", ["nowhere", ".", "/dev/null"])
def test_a_link_to_no_regular_file_is_refused_even_then(
    answers: Answers, profile: Profile, snapshot: Path, target: str
) -> None:
    (snapshot / "odd").symlink_to(target)
    with (
        Client(profile, patience=QUICK) as client,
        pytest.raises(Invalid, match="leads to no regular file is none: odd"),
    ):
        client.publish("encoder", snapshot, draft=True, follow_links=True)


def test_links_to_files_are_read_as_files_when_asked(
    answers: Answers, profile: Profile, snapshot: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    (copy / "onnx").mkdir(parents=True)
    for name in ("config.json", "onnx/model.bin"):
        (copy / name).write_bytes((snapshot / name).read_bytes())
    with Client(profile, patience=QUICK) as client:
        assert client.upload(snapshot, follow_links=True)["digest"] == client.upload(copy)["digest"]
    assert data_digest(snapshot) == data_digest(copy)


def test_folders_without_files_are_reported(
    answers: Answers, profile: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    (folder / "full" / "deep").mkdir(parents=True)
    (folder / "empty" / "inner").mkdir(parents=True)
    (folder / "full" / "deep" / "model.bin").write_bytes(b"x")
    assert empty_folders(folder) == ["empty", "empty/inner"]
    assert empty_folders(folder / "full" / "deep" / "model.bin") == []
    with caplog.at_level(logging.WARNING, "regista"), Client(profile, patience=QUICK) as client:
        client.upload(folder)
    assert "2 empty folders are not part of the artifact: ['empty', 'empty/inner']" in caplog.text
