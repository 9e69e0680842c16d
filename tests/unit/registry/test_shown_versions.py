"""What MLflow's clients see of a version is kept as long as its state is the same: every event counts."""

from __future__ import annotations

from typing import Any

from services.registry.domain.serving.alias import SetAlias
from services.registry.labels.documents import Documents
from shared.deciding.events import Recorded
from tests.unit.registry.given import MODEL_ID
from tests.unit.registry.test_read_models import Tables, apply, everything, recorded, rows

UNSEEN = {"identity", "document", "bump_level", "bump_rule", "registration_notes", "corrected"} | {
    "dataset_name",
    "dataset_digest",
    "import_key",
    "imported_from",
    "correlation_id",
    "message_id",
    "artifact_uri",
    "promoted",
    "legal_hold",
    "withdrawal_proposed",
    "withdrawal_id",
    "run_id",
    "revision",
}
"""Columns of versions of which the query VERSIONS shows nothing."""


def seen(tables: Tables) -> dict[tuple[Any, ...], Any]:
    """Return what these clients see of each version, by model id and number."""

    def of(table: str, model_id: str, number: int, column: str, *shown: str) -> list[Any]:
        found = (
            row for row in tables[table].values() if (row["model_id"], row[column]) == (model_id, number)
        )
        return sorted(str([row.get(name) for name in shown]) for row in found)

    return {
        (model_id, number): (
            {name: value for name, value in row.items() if name not in UNSEEN},
            [tables["models"][(model_id,)].get(name) for name in ("name", "hidden")],
            of("aliases", model_id, number, "number", "alias"),
            of("rollouts", model_id, number, "champion", "environment"),
            of("label_aliases", model_id, number, "number", "alias"),
            of("promotions", model_id, number, "number", "promotion_id", "state"),
            sorted((row["namespace"], row["mode"]) for row in tables["mlflow_modes"].values()),
        )
        for (model_id, number), row in tables["versions"].items()
    }


def states(tables: Tables) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return the state of each version, as the query gives it."""
    modes = max((row["revision"] for row in tables["mlflow_modes"].values()), default=0)
    return {
        key: (row["revision"], tables["models"][key[:1]].get("shown_revision") or 0, modes)
        for key, row in tables["versions"].items()
    }


def ordered() -> list[Recorded]:
    """Every kind of event, and an alias that moves; the modes of namespaces last: all versions exist then."""
    story = everything()
    for number in (6, 7):
        story.when(SetAlias(MODEL_ID, "moved", number))
    return sorted(recorded(story), key=lambda r: not r.stream.startswith("model-"))


def test_no_event_changes_what_is_seen_of_a_version_without_changing_its_state():
    tables, unnoticed, changes = rows([]), [], 0
    old, before = seen(tables), states(tables)
    for event in ordered():
        apply(tables, event)
        new, after = seen(tables), states(tables)
        changed = [key for key in old if old[key] != new[key]]
        changes += len(changed)
        unnoticed += [(event.type, key[1]) for key in changed if before[key] == after[key]]
        old, before = new, after
    assert unnoticed == []
    assert changes > 100


def row(number: int, revision: int, shown: int = 0, mode: int = 0) -> dict[str, Any]:
    """A version as the query of a page finds it."""
    state = {"revision": revision, "shown_revision": shown, "mode_revision": mode}
    return state | {"model_id": "m", "number": number}


class Table:
    """Versions, each read with what is in the table then. It counts what is read."""

    def __init__(self) -> None:
        self.rows = {number: row(number, 1) | {"tags": {"n": "old"}} for number in (1, 2)}
        self.read: list[int] = []

    async def fetch(self, models: list[str], numbers: list[int]) -> list[dict[str, Any]]:
        assert len(models) == len(numbers)
        self.read += numbers
        return [self.rows[number] for number in reversed(numbers)]  # in any order


async def test_a_version_is_read_again_only_when_its_state_has_changed():
    table, documents = Table(), Documents()
    page = [row(2, 1), row(1, 1)]
    first = await documents.of(page, table.fetch)
    assert (first, table.read) == (
        [
            b'{"model_id":"m","number":2,"tags":{"n":"old"}}',
            b'{"model_id":"m","number":1,"tags":{"n":"old"}}',
        ],
        [2, 1],
    )
    assert (await documents.of(page, table.fetch), table.read) == (first, [2, 1])
    for changed in (row(1, 2), row(1, 2, shown=3), row(1, 2, shown=3, mode=1)):
        table.rows[1], table.read = changed | {"tags": {"n": "new"}}, []
        second = await documents.of([row(2, 1), changed], table.fetch)
        assert second == [first[0], b'{"model_id":"m","number":1,"tags":{"n":"new"}}']
        assert table.read == [1]


async def test_a_full_memory_answers_as_an_empty_one():
    table, documents = Table(), Documents(capacity=1)
    pages = [await documents.of([row(1, 1), row(2, 1)], table.fetch) for _ in range(2)]
    assert (pages[0] == pages[1], table.read) == (True, [1, 2, 1, 2])
