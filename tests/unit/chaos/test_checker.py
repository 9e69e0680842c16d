"""The checker of the chaos run finds each kind of difference, and explains what only looks like one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.chaos.checker import Event, Facts, check

MODEL = "chaos.a"
STREAM = "model-1"


def numbered(*events: tuple[str, str, dict[str, Any]], service: str = "registry") -> list[Event]:
    """Events of one stream in the order of the log: (type, cause, data)."""
    return [
        Event(service, STREAM, n, (n, n), type_, f"{service}-{n}", cause, cause, data)
        for n, (type_, cause, data) in enumerate(events, start=1)
    ]


REGISTERED = ("ModelRegistered", "", {"model": MODEL})


def facts(
    events: Iterable[Event],
    journal: Iterable[dict[str, Any]] = (),
    dead: Iterable[str] = (),
    seen: dict[str, list[tuple[int, int]]] | None = None,
    read_object: Callable[[str], bytes | None] = lambda _: None,
) -> Facts:
    return Facts(list(journal), list(events), set(dead), seen or {}, read_object)


def answered(kind: str, key: str, sent: Any = None, etag: str = "", answer: Any = None) -> dict[str, Any]:
    return {
        "what": "answered",
        "kind": kind,
        "key": key,
        "path": f"/{kind}",
        "sent": sent,
        "answer": answer or {},
        "etag": etag,
        "model": MODEL,
    }


def stored(id_: str, expected: str = "VersionRegistered") -> dict[str, Any]:
    return {"what": "stored", "id": id_, "model": MODEL, "expected": expected, "partition": 0, "offset": 7}


def rollout(*entries: tuple[int, int, str], cause: str = "", **more: Any) -> tuple[str, str, dict[str, Any]]:
    listed = [{"number": n, "percent": p, "role": r} for n, p, r in entries]
    return (
        "RolledBack" if more else "RolloutChanged",
        cause,
        {"environment": "production", "entries": listed, **more},
    )


def champion(number: int, cause: str = "") -> tuple[str, str, dict[str, Any]]:
    return rollout((number, 100, "champion"), cause=cause)


def retired(number: int) -> tuple[str, str, dict[str, Any]]:
    return ("VersionRetired", "", {"number": number})


def test_an_answer_without_its_event_is_found() -> None:
    (found,) = check(facts([], [answered("register", "k")]))
    assert "register k at /register has 0 events" in found


def test_an_answer_with_two_events_is_found() -> None:
    events = numbered(
        ("VersionRegistered", "k", {"metadata": {}}), ("VersionRegistered", "k", {"metadata": {}})
    )
    (found,) = check(facts(events, [answered("register", "k")]))
    assert "has 2 events" in found


SPLIT = {
    "entries": [
        {"number": 1, "percent": 95, "role": "champion"},
        {"number": 2, "percent": 5, "role": "challenger"},
    ]
}


def test_a_split_that_was_answered_without_an_event_is_found() -> None:
    events = numbered(REGISTERED, champion(1))
    (found,) = check(facts(events, [answered("rollout", "k", SPLIT, '"2"')]))
    assert "rollout k at /rollout has 0 events" in found


def test_a_split_that_was_there_already_needs_no_event() -> None:
    events = numbered(REGISTERED, rollout((1, 95, "champion"), (2, 5, "challenger")))
    assert check(facts(events, [answered("rollout", "k", SPLIT, '"2"')])) == []


def test_a_split_that_was_stored_differently_is_found() -> None:
    events = numbered(REGISTERED, champion(1, cause="k"))
    (found,) = check(facts(events, [answered("rollout", "k", SPLIT, '"2"')]))
    assert "sent [(1, 95, 'champion'), (2, 5, 'challenger')], stored [(1, 100, 'champion')]" in found


def test_a_message_without_a_trace_is_found() -> None:
    (found,) = check(facts([], [stored("m")]))
    assert "(partition 0, offset 7): expected VersionRegistered, found []" in found


@pytest.mark.parametrize("expected", ["VersionRegistered", "RegistrationRefused", "dead letter"])
def test_a_message_has_exactly_the_outcome_that_was_expected(expected: str) -> None:
    event = (expected, "m", {"metadata": {}})
    events, dead = ([], ["m"]) if expected == "dead letter" else (numbered(event), [])
    assert check(facts(events, [stored("m", expected)], dead)) == []
    registered = ("VersionRegistered", "m", {"metadata": {}})
    assert len(check(facts(numbered(registered, registered), [stored("m", expected)], ["m"]))) == 1


CONTENT = b"weights"
SHA = hashlib.sha256(CONTENT).hexdigest()
FILES = [{"path": "a.onnx", "size": len(CONTENT), "sha256": SHA}]
DIGEST = (
    "sha256:"
    + hashlib.sha256(json.dumps({"files": FILES}, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
)
VERSION = ("VersionRegistered", "", {"metadata": {"artifact": {"digest": DIGEST, "files": FILES}}})


def released(*more: str) -> list[Event]:
    data = {"digest": DIGEST, "generation": 1, "uri": "s3://regista/verified/x/g1"}
    artifact = numbered(*((type_, "", data) for type_ in ("ArtifactReleased", *more)), service="artifact")
    return [*numbered(VERSION), *artifact]


@pytest.mark.parametrize(
    ("content", "what"), [(None, "the bytes of a.onnx are gone"), (b"others", "a.onnx has other bytes")]
)
def test_released_bytes_that_are_gone_or_others_are_found(content: bytes | None, what: str) -> None:
    (found,) = check(facts(released(), read_object=lambda _: content))
    assert what in found


def test_released_bytes_that_are_there_or_were_deleted_on_purpose_are_no_difference() -> None:
    read = {"s3://regista/verified/x/g1/a.onnx": CONTENT}
    assert check(facts(released(), read_object=read.get)) == []
    assert check(facts(released("ArtifactExpired", "ArtifactDeleted"))) == []


def test_a_retired_rollback_target_is_found() -> None:
    (found,) = check(facts(numbered(champion(1), champion(2), retired(1))))
    assert (
        found
        == "model-1@1 was retired at revision 3 and is the rollback target of production, where 2 serves"
    )


def test_a_retired_version_that_serves_or_served_last_is_found() -> None:
    split = rollout((1, 95, "champion"), (2, 5, "challenger"))
    assert len(check(facts(numbered(split, retired(2))))) == 1
    assert len(check(facts(numbered(champion(1), rollout(), retired(1))))) == 1


def test_a_retired_version_with_an_alias_is_found() -> None:
    alias = ("AliasSet", "", {"alias": "candidate", "number": 3})
    assert len(check(facts(numbered(alias, retired(3))))) == 1


def test_what_a_rollback_does_not_go_to_may_be_retired() -> None:
    back = rollout((1, 100, "champion"), from_number=2, to_number=1)
    history = [champion(1), champion(2), champion(3), retired(1)]
    assert check(facts(numbered(*history))) == []
    rolled_back = [champion(1), champion(2), back, champion(3), retired(2)]
    assert check(facts(numbered(*rolled_back))) == []
    assert len(check(facts(numbered(*rolled_back, retired(1))))) == 1


def test_a_withdrawn_target_hands_its_place_to_the_one_before() -> None:
    recalled = ("VersionRecalled", "", {"number": 2})
    history = [champion(1), champion(2), champion(3), recalled]
    assert check(facts(numbered(*history, retired(2)))) == []
    assert len(check(facts(numbered(*history, retired(1))))) == 1


def test_an_event_behind_a_readers_cursor_is_found() -> None:
    events = numbered(champion(1), champion(2), champion(3))
    assert check(facts(events, seen={"registry": [(1, 1), (2, 2)]})) == []
    (found,) = check(facts(events, seen={"registry": [(1, 1), (3, 3)]}))
    assert "missed [(2, 2)]" in found


def test_a_reader_that_saw_nothing_is_found() -> None:
    assert check(facts(numbered(champion(1)), seen={"registry": []})) == [
        "the reader of registry saw nothing"
    ]


def test_revisions_out_of_the_order_of_the_log_are_found() -> None:
    first, second = numbered(champion(1), champion(2))
    swapped = [
        Event(**{**{f: getattr(e, f) for f in Event.__slots__}, "at": (3 - e.revision, 0)})
        for e in (first, second)
    ]
    assert "the revisions in the order of (tx, seq) are [2, 1]" in check(facts(swapped))[0]


def test_an_event_that_stands_twice_and_an_internal_error_are_found() -> None:
    first, _ = numbered(champion(1), champion(2))
    other = Event("registry", "model-2", 1, (9, 9), "ModelRegistered", first.id, "", "", {"model": "b"})
    assert check(facts([first, other])) == ["registry-1 stands 2 times in the log"]
    assert len(check(facts([], [{"what": "internal error", "path": "/x", "detail": "y"}]))) == 1
