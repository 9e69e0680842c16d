"""What stood at a moment: metadata with the corrections up to it."""

from __future__ import annotations

from typing import Any

from services.audit.domain.as_of import corrected


def correction(*changes: tuple[str, Any]) -> dict[str, Any]:
    return {"data": {"changes": [{"field": field, "after": after} for field, after in changes]}}


def test_each_correction_replaces_what_stood_before() -> None:
    registered = {"training": {"run_url": "http://runs/1", "code": {"revision": "abc"}}, "artifact": {}}
    link = correction(("training.run_url", "http://runs/2"))
    more = correction(("training.run_url", "http://runs/3"), ("training.framework.version", "2"))
    then = corrected(registered, [link, more])
    assert then["training"]["run_url"] == "http://runs/3"
    assert then["training"]["framework"] == {"version": "2"}
    assert then["training"]["code"] == {"revision": "abc"}
    assert registered["training"]["run_url"] == "http://runs/1"


def test_a_removed_value_is_null() -> None:
    then = corrected({"training": {"run_url": "x"}}, [correction(("training.run_url", None))])
    assert then == {"training": {"run_url": None}}


def test_what_cannot_be_read_changes_nothing() -> None:
    registered = {"training": {"run_url": "x"}}
    for data in ({}, {"changes": None}, {"changes": [7]}):
        assert corrected(registered, [{"data": data}]) == registered
