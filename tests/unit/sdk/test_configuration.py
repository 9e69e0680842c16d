"""The configuration of a run is written as JSON in one documented form, or refused by its path."""

from __future__ import annotations

import argparse
import enum
import json
import math
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from pydantic import BaseModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

import regista
from regista.errors import Invalid
from regista.publishing.data_digest import data_digest
from regista.publishing.publication import document

FRAME = pd.DataFrame({"x": [1]})


class Solver(enum.Enum):
    NEWTON = "newton"


class Order(enum.IntEnum):
    FIRST = 1


@dataclass
class Optimizer:
    rate: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass
class Settings:
    optimizer: Optimizer = field(default_factory=Optimizer)
    seed: int = 7


class Model(BaseModel):
    depth: int = 3


Point = namedtuple("Point", ["x", "y"])  # noqa: PYI024 - the class that a library would have


def config_of(value: Any) -> Any:
    run = regista.capture(config={"x": value})
    return document("churn", run)["training"]["config"]["x"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (np.float32("inf"), "Infinity"),
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.array([[1.0, np.nan]]), [[1.0, "NaN"]]),
        (pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Series([1, 2]), [1, 2]),
        (pl.Series([1, 2]), [1, 2]),
        (FRAME, {"data": data_digest(FRAME)}),
        (Solver.NEWTON, "newton"),
        (Order.FIRST, 1),
        (Path("a/b"), "a/b"),
        (PureWindowsPath("a\\b"), "a/b"),
        (date(2026, 1, 2), "2026-01-02"),
        (argparse.Namespace(C=1.0, solver=Solver.NEWTON), {"C": 1.0, "solver": "newton"}),
        (SimpleNamespace(a=1), {"a": 1}),
        (Settings(), {"optimizer": {"rate": 0.1, "betas": [0.9, 0.99]}, "seed": 7}),
        (Model(), {"depth": 3}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (LogisticRegression, "sklearn.linear_model.LogisticRegression"),
        (np.mean, "numpy.mean"),
        (len, "len"),
        ({1: "a", Solver.NEWTON: "b"}, {"1": "a", "newton": "b"}),
        ({"b", "a"}, ["a", "b"]),
        (Decimal("1.10"), "Decimal('1.10')"),
        (timedelta(seconds=1), "datetime.timedelta(seconds=1)"),
        (Fraction(1, 3), "Fraction(1, 3)"),
        (np.longdouble("0.1"), "np.longdouble('0.1')"),
    ],
)
@pytest.mark.slow
def test_a_value_has_one_documented_form(value: Any, written: Any) -> None:
    assert config_of(value) == written
    assert json.loads(msgspec.json.encode(config_of(value))) == written


def test_an_estimator_is_its_class_and_its_parameters() -> None:
    imputer = config_of(SimpleImputer())
    assert imputer["class"] == "sklearn.impute.SimpleImputer"
    assert imputer["params"]["missing_values"] == "NaN"
    steps = config_of(Pipeline([("impute", SimpleImputer()), ("fit", LogisticRegression(C=0.5))]))["params"][
        "steps"
    ]
    assert [name for name, _ in steps] == ["impute", "fit"]
    assert steps[1][1]["params"]["C"] == 0.5


@pytest.mark.parametrize(
    ("config", "written"),
    [
        (argparse.Namespace(C=1.0), {"C": 1.0}),
        (Optimizer(), {"rate": 0.1, "betas": [0.9, 0.99]}),
        (Model(), {"depth": 3}),
        (SimpleImputer().get_params(), SimpleImputer().get_params() | {"missing_values": "NaN"}),
    ],
)
def test_a_run_takes_a_whole_configuration(config: Any, written: dict[str, Any]) -> None:
    assert document("churn", regista.capture(config=config))["training"]["config"] == written
    given = document("churn", training={"config": config})["training"]["config"]
    assert given == written


def test_a_run_takes_an_estimator_as_its_configuration() -> None:
    config = document("churn", regista.capture(config=LogisticRegression(C=0.5)))["training"]["config"]
    assert (config["class"], config["params"]["C"]) == ("sklearn.linear_model.LogisticRegression", 0.5)


class Broken:
    """A class that cannot describe itself."""

    def __repr__(self) -> str:
        raise KeyError("no")


def itself() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    inner["inner"] = inner
    return inner


@pytest.mark.parametrize(
    ("value", "path", "named"),
    [
        (2**60, "training.config.x", "beyond 2^53"),
        ({"a": [0, {"b": np.uint64(2**60)}]}, "training.config.x.a[1].b", "beyond 2^53"),
        ({1: "a", "1": "b"}, "training.config.x", "keys 1 and '1'"),
        ({Solver.NEWTON: 1, "newton": 2}, "training.config.x", "'newton'"),
        (Broken(), "training.config.x", "Broken"),
        (itself(), "training.config.x.inner", "contains itself"),
        (LogisticRegression(random_state=2**60), "training.config.x.params.random_state", "beyond 2^53"),
        ({"a": ["\ud800"]}, "training.config.x.a[0]", "half of a character"),
        ({"\udfff": 1}, "training.config.x", "half of a character"),
    ],
)
def test_a_refusal_names_the_path(value: Any, path: str, named: str) -> None:
    with pytest.raises(Invalid) as refused:
        config_of(value)
    assert path in refused.value.detail
    assert named in refused.value.detail
    assert refused.value.facts["field"].startswith("training.config.x")


@pytest.mark.parametrize(
    "training",
    [
        {"metrics": [{"name": "auc", "value": math.nan}]},
        {"metrics": [{"name": "f1", "value": 1}, {"name": "auc", "value": math.inf}]},
    ],
)
def test_numbers_outside_the_configuration_must_be_finite(training: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"training\.metrics\[auc\]\.value"):
        document("churn", training=training)


NO_NUMBERS = (math.nan, math.inf, None, "0.9", True, [0.9], np.array([1, 2]), 1j, pd.NA)


@pytest.mark.parametrize("value", [*NO_NUMBERS, Decimal("sNaN"), 10**400])
def test_a_metric_that_is_no_number_is_refused_by_name(value: Any) -> None:
    run = regista.capture().test_data("holdout", digest="sha256:1")
    with pytest.raises(Invalid, match=r"the metric 'auc' is .* no number"):
        run.metric("auc", value)


@pytest.mark.parametrize(
    "value",
    [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), np.array([0.5]), Decimal("0.5"), Fraction(1, 2)],
)
def test_a_metric_is_any_number(value: Any) -> None:
    run = regista.capture().test_data("holdout", digest="sha256:1").metric("auc", value)
    assert run.metrics[0]["value"] == 0.5


def test_the_configuration_of_a_run_may_be_completed() -> None:
    run = regista.capture(config=argparse.Namespace(C=1.0))
    run.config["when"] = datetime(2026, 1, 2)  # noqa: DTZ001 - as a notebook has it
    assert document("churn", run)["training"]["config"] == {"C": 1.0, "when": "2026-01-02T00:00:00"}
    with pytest.raises(Invalid, match="`config` must be an object"):
        regista.capture(config=["C", 1.0])
