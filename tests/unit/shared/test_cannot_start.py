"""A process that cannot start states its reason in one line of its log, which a person can read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regista.wire.keys import generate_signing_key
from shared.foundation.settings import WRONG_SETTING

NO_SERVER = "postgresql://someone:TOPSECRET@127.0.0.1:9/regista"


def lines_of(tmp_path: Path, module: str = "services.registry", **settings: str) -> tuple[int, list[Any]]:
    """Run the service to its end. Return its exit code and the lines that it logged as critical."""
    key = tmp_path / "key.json"
    if not key.exists():
        generate_signing_key("service:registry", "k1").save(key)
    given = {"DATABASE_URL": NO_SERVER, "PEPPER": "p", "SIGNING_KEY_FILE": str(key)} | settings
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env=kept | {f"REGISTA_{name}": value for name, value in given.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "TOPSECRET" not in ended.stderr
    read = [json.loads(line) for line in ended.stderr.splitlines()]
    return ended.returncode, [line for line in read if line["level"] == "critical"]


def refusal(tmp_path: Path, module: str = "services.registry", **settings: str) -> str:
    """Return the one reason of a process that ended because of a setting."""
    code, lines = lines_of(tmp_path, module, **settings)
    assert code == WRONG_SETTING
    assert len(lines) == 1
    assert lines[0]["message"] == "cannot start: a setting is wrong"
    assert lines[0]["service"] == module.rpartition(".")[2]
    assert "\n" not in lines[0]["error"]
    assert "traceback" not in lines[0]
    return str(lines[0]["error"])


@pytest.mark.slow
def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    error = refusal(tmp_path, SIGNING_KEY_FILE=str(missing), LOG_LEVEL="ERROR")
    assert error.startswith("REGISTA_SIGNING_KEY_FILE: ")
    assert str(missing) in error


@pytest.mark.slow
def test_a_port_that_is_taken_is_named_with_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = refusal(tmp_path, HTTP_PORT=str(port))
    assert error.startswith(f"REGISTA_HTTP_PORT: cannot listen on 127.0.0.1:{port} (")


@pytest.mark.slow
def test_any_other_error_of_the_start_is_one_line_with_its_traceback_beside_it(tmp_path: Path) -> None:
    code, lines = lines_of(tmp_path, "tests.unit.shared.broken_service")
    assert code == 1
    assert [(line["message"], line["error"]) for line in lines] == [
        ("cannot start", "ZeroDivisionError: division by zero")
    ]
    assert "Traceback" in lines[0]["traceback"]


@pytest.mark.slow
def test_a_part_that_fails_after_the_start_is_named_with_its_error(tmp_path: Path) -> None:
    code, lines = lines_of(tmp_path, "tests.unit.shared.broken_part")
    assert code == 1
    assert [(line["message"], line["error"]) for line in lines] == [
        ("the process ends, because its part http ended", "ValueError: the first line")
    ]
