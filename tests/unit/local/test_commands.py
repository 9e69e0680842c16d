"""The output of the local commands, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.local.commands import COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example(name: str) -> None:
    assert f"Example: regista {name}" in CliRunner().invoke(COMMANDS[name], ["--help"]).output


def test_down_reports_what_was_stopped_as_json(tmp_path: Path) -> None:
    answer = CliRunner().invoke(COMMANDS["down"], ["--json", "--instance", str(tmp_path)])
    assert json.loads(answer.output) == {"stopped": []}


def test_an_unknown_log_is_refused_with_the_names_of_the_logs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "migrate.log").write_text("done\n")
    answer = CliRunner().invoke(COMMANDS["logs"], ["regitsry", "--instance", str(tmp_path)])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "'regitsry'" in answer.stderr
    assert "registry" in answer.stderr
    assert "done" in CliRunner().invoke(COMMANDS["logs"], ["migrate", "--instance", str(tmp_path)]).stdout


def test_a_service_without_read_models_is_not_rebuilt(tmp_path: Path) -> None:
    answer = CliRunner().invoke(COMMANDS["rebuild"], ["audit", "--instance", str(tmp_path)])
    assert answer.exit_code == 2
    assert "registry" in answer.stderr


def test_a_link_for_a_person_without_a_key_is_refused_with_the_names_of_those_who_have_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-key-grace").write_text("rg_grace_secret")
    answer = CliRunner().invoke(COMMANDS["console"], ["alan", "--instance", f"{tmp_path}/"])
    assert answer.exit_code == 1
    assert "'alan'" in answer.stderr
    assert "grace" in answer.stderr
    assert "secret" not in answer.stderr


def test_a_link_needs_a_console_that_runs(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-key-grace").write_text("rg_grace_secret")
    answer = CliRunner().invoke(COMMANDS["console"], ["grace", "--instance", f"{tmp_path}/"])
    assert answer.exit_code == 1
    assert "regista up" in answer.stderr
