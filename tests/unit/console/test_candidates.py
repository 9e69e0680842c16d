"""What the form of a rollout offers: what may serve, and what does."""

from __future__ import annotations

from typing import Any

from services.console.pages.rollouts import NONE, candidates


def version(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "semver": "1.0.0",
        "stage": "Validated",
        "withdrawn": "",
        "retired": None,
    } | more


def test_what_serves_is_offered_however_old_it_is() -> None:
    rollout = NONE | {"entries": [{"number": 1, "semver": "1.0.0", "percent": 100, "role": "champion"}]}
    found = candidates(rollout, [version(900), version(899)])
    assert [one["number"] for one in found] == [900, 899, 1]
    assert found[-1]["stage"] == ""


def test_what_may_not_serve_is_not_offered() -> None:
    rows = [version(3), version(2, withdrawn="wrong data"), version(1, retired="2026-03-01T00:00:00Z")]
    assert [one["number"] for one in candidates(NONE, rows)] == [3]


def test_a_version_that_serves_and_may_serve_is_offered_once_with_its_stage() -> None:
    rollout = NONE | {"entries": [{"number": 3, "semver": "1.0.0", "percent": 100, "role": "champion"}]}
    (only,) = candidates(rollout, [version(3, stage="Production")])
    assert only["stage"] == "Production"
