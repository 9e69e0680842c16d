"""Several versions beside each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.registry.domain.model.metadata import File, Input
from services.registry.domain.versioning.comparison import Measured, Row, compare
from tests.unit.registry.given import SIGNATURE, metadata

NOISE = ("out_dir",)


def auc(version: int, value: float, data: str = "sha256:t", **more: Any) -> Measured:
    about = {"dataset_name": "", "definition": "", "higher_is_better": True} | more
    return Measured(version, "auc", value, data, **about)


def rows(part: str, *documents: Any, measured: Any = ()) -> list[Row]:
    return [row for row in compare(documents, measured, NOISE) if row.part == part]


def test_metrics_stand_together_on_the_same_data_and_by_the_same_definition_only():
    found = rows(
        "metrics",
        *[metadata()] * 3,
        measured=[
            auc(0, 0.8, dataset_name="test"),
            auc(1, 0.9),
            auc(2, 0.85),
            auc(0, 0.99, "sha256:other"),
            auc(1, 0.7, definition="macro"),
        ],
    )
    assert [(row.on, row.values, row.best) for row in found] == [
        ("test", (0.8, 0.9, 0.85), (1,)),
        ("sha256:other", (0.99, None, None), ()),
        ("sha256:t", (None, 0.7, None), ()),
    ]


def test_the_best_value_is_the_lowest_where_lower_is_better_and_may_be_shared():
    measured = [auc(n, value, higher_is_better=False) for n, value in enumerate((0.2, 0.1, 0.1))]
    (row,) = rows("metrics", *[metadata()] * 3, measured=measured)
    assert row.best == (1, 2)


def test_only_parameters_that_differ_are_shown_and_noise_is_marked():
    config = {"depth": 3, "out_dir": "/1", "opt": {"lr": 0.1}}
    other = {"depth": 3, "out_dir": "/2", "opt": {"lr": 0.2}, "flag": True}
    found = rows("config", metadata(config=config), metadata(config=other), metadata(config=other))
    assert {row.name: (row.values, row.noise) for row in found} == {
        "out_dir": (("/1", "/2", "/2"), True),
        "opt.lr": ((0.1, 0.2, 0.2), False),
        "flag": ((None, True, True), False),
    }


def test_true_and_one_differ():
    (row,) = rows("config", metadata(config={"x": 1}), metadata(config={"x": True}))
    assert row.values == (1, True)


def test_data_and_size_are_always_shown_and_schema_where_it_differs():
    one = metadata()
    artifact = replace(one.artifact, files=(File("a", 3, "0" * 64), File("b", 4, "0" * 64)))
    two = replace(one, artifact=artifact, signature=replace(SIGNATURE, inputs=(Input("age", "int64"),)))
    assert [row.values for row in rows("size", one, two)] == [(0, 7)]
    assert [row.name for row in rows("data", one, two)] == ["name", "digest"]
    assert [(row.name, row.values) for row in rows("schema", one, two)] == [
        ("input age", ("double", "int64"))
    ]
    assert rows("schema", one, one) == []
    assert rows("training", one, one) == []
