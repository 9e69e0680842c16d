"""What all commands have in common."""

from __future__ import annotations

import dataclasses

import pytest

from shared.deciding.decider import NO_TIME
from tools.contracts.documents import SERVICES

COMMANDS = sorted(
    {command for service in SERVICES for command in service.deciders},
    key=lambda command: f"{command.__module__}.{command.__name__}",
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_the_time_of_a_command_is_filled_in_by_its_transaction(command: type) -> None:
    assert [f.default for f in dataclasses.fields(command) if f.name == "now"] in ([], [NO_TIME])
