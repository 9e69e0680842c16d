"""What the commands of one machine say, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.local.commands import COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example(name: str) -> None:
    assert f"Example: regista {name}" in CliRunner().invoke(COMMANDS[name], ["--help"]).output


def test_down_tells_programs_what_was_stopped(tmp_path: Path) -> None:
    answer = CliRunner().invoke(COMMANDS["down"], ["--json", "--instance", str(tmp_path)])
    assert json.loads(answer.output) == {"stopped": []}
