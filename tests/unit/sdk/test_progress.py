"""Bars of Python calls: on a terminal, as a line in notebooks, not in pipes and CI; they can be off."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.progress import Line, reporting
from tests.unit.sdk.conftest import API_KEY, QUICK, Answers

LOAD = "import regista; regista.load('fraud.cards@production'{})"
IN_A_NOTEBOOK = "class Shell: kernel = 1\nget_ipython = Shell\n"


@pytest.fixture
def stored(answers: Answers) -> Answers:
    answers.has("fraud.cards", "@production", {"model.onnx": b"weights" * 1000})
    return answers


def _environment(answers: Answers, folder: Path, **more: str) -> dict[str, str]:
    return {
        "REGISTA_URL": answers.url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CONFIG": "/nowhere",
        "REGISTA_CACHE_DIR": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
    } | more


def _on_a_terminal(code: str, environment: dict[str, str]) -> bytes:
    """Run a program with a terminal as its stderr; return what the terminal got."""
    terminal, other_end = pty.openpty()
    program = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=other_end)
    os.close(other_end)
    shown = b""
    with contextlib.suppress(OSError):  # the program closed its end
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    assert program.wait(60) == 0, shown
    return shown


@pytest.mark.parametrize(
    ("argument", "variables", "seen"),
    [
        ("", {}, True),
        (", progress=False", {}, False),
        ("", {"CI": "true"}, False),
        ("", {"CI": "false"}, True),
        (", progress=True", {"CI": "true"}, True),
        (", progress=lambda *_: None", {}, False),
    ],
)
@pytest.mark.slow
def test_a_load_shows_a_bar_on_a_terminal_unless_it_is_turned_off(
    stored: Answers, tmp_path: Path, argument: str, variables: dict[str, str], seen: bool
) -> None:
    shown = _on_a_terminal(LOAD.format(argument), _environment(stored, tmp_path, **variables))
    assert (b"downloading model.onnx" in shown) is seen
    assert seen or shown == b""


@pytest.mark.slow
def test_a_cached_model_shows_nothing(stored: Answers, tmp_path: Path) -> None:
    environment = _environment(stored, tmp_path)
    _on_a_terminal(LOAD.format(""), environment)
    assert _on_a_terminal(LOAD.format(""), environment) == b""


@pytest.mark.parametrize("kind", ["stdout", "stderr"])
def test_a_pipe_shows_nothing(stored: Answers, tmp_path: Path, kind: str) -> None:
    code = LOAD.format("")
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(stored, tmp_path), capture_output=True, check=True
    )
    assert getattr(done, kind) == b""


def test_a_notebook_shows_one_plain_line(stored: Answers, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK + LOAD.format("")],
        env=_environment(stored, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("downloading model.onnx 0.0 of 0.0 MB (100 %)\n")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("argument", "ci"), [("", "true"), (", progress=False", "")])
def test_a_notebook_shows_nothing_in_ci_and_when_it_is_turned_off(
    stored: Answers, tmp_path: Path, argument: str, ci: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK + LOAD.format(argument)],
        env=_environment(stored, tmp_path, CI=ci),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""


def test_the_line_shows_how_much_is_done_and_no_control_characters() -> None:
    file = io.StringIO()
    line = Line("uploading", file)
    line("a\x1b[31m.bin", 500_000, 2_000_000)
    line("a\x1b[31m.bin", 2_000_000, 2_000_000)
    line.end()
    last = file.getvalue().rstrip("\n").split("\r")[-1]
    assert last == "uploading a�[31m.bin 2.0 of 2.0 MB (100 %)"


def test_a_transfer_goes_on_when_its_line_cannot_be_written() -> None:
    file = io.StringIO()
    line = Line("uploading", file)
    file.close()
    line("a.bin", 1, 2)
    line.end()
    assert line.done == 1


def test_a_function_gets_the_reports_of_an_upload(answers: Answers, profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x" * 10)
    seen: list[tuple[str, int, int]] = []
    with Client(profile, patience=QUICK) as client:
        client.upload(tmp_path / "model.onnx", progress=lambda *report: seen.append(report))
    assert seen == [("model.onnx", 10, 10)]


def test_false_reports_to_nothing() -> None:
    with reporting(False, "uploading") as report:
        assert report is None
