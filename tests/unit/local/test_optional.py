"""Services that an instance runs only where that was requested."""

from __future__ import annotations

from pathlib import Path

from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.fronts import OPTIONAL, PROCESSES


def test_an_instance_runs_no_optional_service_until_it_is_requested_and_keeps_it(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    assert lifecycle.optional(folder) == []
    lifecycle.add_optional(folder, ["mirror"])
    lifecycle.add_optional(folder, ["mirror"])
    assert lifecycle.optional(folder) == ["mirror"]


def test_optional_services_have_the_last_ports() -> None:
    assert PROCESSES[-len(OPTIONAL) :] == OPTIONAL
