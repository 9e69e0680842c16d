"""Why a process ended, in one line, from the end of its log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.local.end_reason import LONGEST, end_reason
from services.local.processes import Child, spawn
from services.local.supervisor import SupervisedProcess


def line(level: str, message: str, **more: str) -> str:
    return json.dumps({"time": "2026-11-23T01:02:03.456+00:00", "level": level, "message": message} | more)


def test_a_service_logs_its_reason_as_one_critical_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    last = line("critical", "cannot start", error="OSError: no", traceback="Traceback\n  …")
    log.write_text("\n".join([line("info", "listening"), last, line("warning", "later")]) + "\n")
    assert end_reason(log) == "cannot start: OSError: no"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "Traceback (most recent call last):\n  File …\nModuleNotFoundError: No module named 'x'\n",
            "Module",
        ),
        (
            "LOG:  starting\nFATAL:  could not open file: Permission denied\nLOG:  shut down\n",
            "FATAL:  could",
        ),
        ("[2026] ERROR Exiting Kafka due to fatal exception (kafka.Kafka$)\n", "[2026] ERROR Exiting"),
        ("goroutine 1\npanic: no space left\n\ngoroutine 7 [running]\n", "panic: no space left"),
        ("something else\n\n", "something else"),
        ("", ""),
    ],
)
def test_of_other_programs_it_is_the_last_line_that_names_a_fault(
    tmp_path: Path, output: str, reason: str
) -> None:
    log = tmp_path / "x.log"
    log.write_text(output)
    assert end_reason(log).startswith(reason)
    assert "\n" not in end_reason(log)


def test_the_reason_of_an_earlier_process_is_not_taken_for_this_one(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(line("critical", "an older end") + "\n")
    assert end_reason(log, log.stat().st_size) == ""


def test_the_reason_is_found_in_the_file_before_when_the_log_has_just_moved_on(tmp_path: Path) -> None:
    (tmp_path / "x.log.1").write_text(line("critical", "cannot start", error="E") + "\n")
    (tmp_path / "x.log").write_text("")
    assert end_reason(tmp_path / "x.log") == "cannot start: E"
    assert end_reason(tmp_path / "none.log") == ""


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(line("critical", "x" * 5_000) + "\n")
    assert len(end_reason(log)) <= LONGEST + 2


@pytest.mark.slow
def test_the_supervisor_records_the_reason_and_how_often_it_came_in_a_row(tmp_path: Path) -> None:
    def launch() -> Child:
        return spawn("broken", [sys.executable, "-c", "raise OSError('no key')"], log=tmp_path / "x.log")

    kept = SupervisedProcess("broken", launch, launch(), since=0.0)
    for n in (1, 2):
        kept.child.popen.wait()
        assert kept.check(0.0)
        assert (kept.last, kept.in_a_row, kept.exits) == ("exit code 1: OSError: no key", n, n)
        assert kept.check(100.0)  # started again
    kept.child.popen.wait()
    kept.check(200.0)  # after it ran for a while
    assert (kept.in_a_row, kept.exits) == (1, 3)


@pytest.mark.slow
def test_a_supervisor_that_cannot_start_records_one_line_and_keeps_the_details_in_its_log(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.toml").mkdir()  # it is to be a file
    command = [sys.executable, "-m", "services.local.supervisor", "--directory", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    problem = json.loads((tmp_path / "supervisor.json").read_text())["problem"]
    assert ended.returncode == 1
    assert problem.startswith("IsADirectoryError: ")
    assert "\n" not in problem
    assert "Traceback" in ended.stderr
