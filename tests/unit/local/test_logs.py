"""The logs of all processes, for people."""

from __future__ import annotations

from pathlib import Path

from services.local.folders import InstanceFolder
from services.local.logs import Tail, follow, level_of, readable


def test_a_json_line_becomes_time_level_message_and_the_rest() -> None:
    line = (
        '{"time":"2026-11-23T01:02:03.456+00:00","level":"warning","logger":"x",'
        '"message":"not ready","service":"registry","part":"kafka"}'
    )
    assert readable(line) == "01:02:03.456 warning not ready  part=kafka"


def test_other_lines_stay_as_they_are() -> None:
    assert readable("LOG:  checkpoint complete") == "LOG:  checkpoint complete"
    assert readable("[1, 2]") == "[1, 2]"


def test_a_traceback_is_shown_below_its_line() -> None:
    assert readable(
        '{"time":"2026-11-23T01:02:03.456+00:00","level":"error","message":"died","error":"Traceback"}'
    ).endswith("died\nTraceback")


def test_a_line_is_shown_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("one\ntw")
    tail = Tail("x", path)
    assert list(tail.new_lines()) == ["one"]
    with path.open("a") as file:
        file.write("o\n")
    assert list(tail.new_lines()) == ["two"]


def test_a_log_that_does_not_exist_yet_has_no_lines(tmp_path: Path) -> None:
    assert list(Tail("x", tmp_path / "x.log").new_lines()) == []


def test_the_last_lines_of_each_are_shown_with_the_name_of_their_process(tmp_path: Path) -> None:
    folder, shown = InstanceFolder(tmp_path), list[tuple[str, str]]()
    folder.log("kafka").write_text("1\n2\n3\n")
    folder.log("s3").write_text("a\n")
    follow(folder, ["kafka", "s3"], lambda name, text: shown.append((name, text)), lines=2, on=lambda: False)
    assert shown == [("kafka", "2"), ("kafka", "3"), ("s3", "a")]


WARNING = '{"time":"2026-11-23T01:02:03.456+00:00","level":"warning","message":"not ready"}'
INFO = '{"time":"2026-11-23T01:02:04.456+00:00","level":"info","message":"started"}'


def test_the_level_of_each_kind_of_line() -> None:
    lines = {
        INFO: 1,
        WARNING: 2,
        "2026-11-30 00:01:02 UTC [7] LOG:  checkpoint complete": 1,
        "2026-11-30 00:01:02 UTC [7] FATAL:  password authentication failed": 3,
        "[2026-11-30 00:01:02,003] WARN [Broker id=1] lost (kafka.Server)": 2,
        "W1130 00:01:02.003 volume_server.go:1 disk is full": 2,
        "\tat java.base/java.lang.Thread.run": None,
        "org.example.ErrorHandler INFORMATION": None,
    }
    assert {line: level_of(line) for line in lines} == lines


def test_only_lines_of_the_level_are_shown_and_counted_with_what_belongs_to_them(tmp_path: Path) -> None:
    folder, shown = InstanceFolder(tmp_path), list[str]()
    folder.log("kafka").write_text(f"{WARNING}\n{INFO}\n\tat x\n[1] ERROR died\n\tat y\n{INFO}\n")

    def show(_: str, text: str) -> None:
        shown.append(text)

    follow(folder, ["kafka"], show, lines=2, on=lambda: False, level="warning")
    assert shown == ["[1] ERROR died", "\tat y"]
    shown.clear()
    follow(folder, ["kafka"], show, lines=9, on=lambda: False, level="error")
    assert shown == ["[1] ERROR died", "\tat y"]
