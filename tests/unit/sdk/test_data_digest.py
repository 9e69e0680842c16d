"""Every frame, array and matrix has a digest, other data have another one, and errors name the column."""

from __future__ import annotations

import json
import uuid
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from starlette.responses import JSONResponse

import regista
from regista.errors import Invalid
from regista.publishing.data import form_1
from regista.publishing.data_digest import data_digest, same_data
from tests.unit.sdk.conftest import Answers

Make = Callable[[], Any]
DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - a timestamp without a zone


def frame(*values: Any, dtype: Any = object) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(list(values), dtype=dtype)})


def sparse_in_any_order(rows: list[int], columns: list[int], values: list[float]) -> sparse.coo_matrix:
    return sparse.coo_matrix((values, (rows, columns)), shape=(2, 2))


EQUAL: dict[str, list[Make]] = {
    "texts of every kind": [
        lambda: frame("a", None, "b"),
        lambda: frame("a", np.nan, "b"),
        lambda: pd.DataFrame({"x": ["a", None, "b"]}),
        lambda: frame("a", None, "b", dtype="string[python]"),
        lambda: frame("a", None, "b", dtype="category"),
        lambda: pl.DataFrame({"x": ["a", None, "b"]}),
        lambda: pl.LazyFrame({"x": ["a", None, "b"]}),
        lambda: pl.DataFrame({"x": pl.Series(["a", None, "b"], dtype=pl.Enum(["z", "b", "a"]))}),
        lambda: pa.table({"x": pa.array(["a", None, "b"], pa.large_string())}),
        lambda: pa.table({"x": pa.RunEndEncodedArray.from_arrays([1, 2, 3], pa.array(["a", None, "b"]))}),
        lambda: pa.record_batch({"x": pa.array(["a", None, "b"]).dictionary_encode()}),
    ],
    "lists": [
        lambda: frame([1, 2], None, []),
        lambda: frame(np.array([1, 2]), None, np.array([], dtype="int64")),
        lambda: pl.DataFrame({"x": [[1, 2], None, []]}),
        lambda: pa.table({"x": [[1, 2], None, []]}),
        lambda: pa.table({"x": pa.array([[1, 2], None, []], pa.list_view(pa.int64()))}),
    ],
    "lists of one length": [
        lambda: frame([1, 2], None),
        lambda: pl.DataFrame({"x": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2))}),
        lambda: pa.table({"x": pa.array([[0, 0], [1, 2], None], pa.list_(pa.int64(), 2))}).slice(1),
    ],
    "records, in any order of their fields": [
        lambda: frame({"b": 1, "a": "x"}),
        lambda: frame({"a": "x", "b": 1}),
        lambda: pl.DataFrame({"x": [{"a": "x", "b": 1}]}),
        lambda: pa.table({"x": [{"b": 1, "a": "x"}]}),
    ],
    "decimals of any scale": [
        lambda: frame(Decimal("1.10"), None),
        lambda: pl.DataFrame({"x": [Decimal("1.1"), None]}),
        lambda: pa.table({"x": pa.array([Decimal("1.1"), None], pa.decimal128(12, 3))}),
        lambda: pa.table({"x": pa.array([Decimal("1.1"), None], pa.decimal32(4, 2))}),
    ],
    "periods and intervals": [
        lambda: frame(pd.Period("2026-01", "M"), None),
        lambda: frame(pd.Period("2026-01", "M"), None, dtype="period[M]"),
    ],
    "instants of any unit": [
        lambda: frame("2026-01-01", None, dtype="datetime64[ns]"),
        lambda: frame("2026-01-01", None, dtype="datetime64[s]"),
        lambda: frame(DAY, None),
        lambda: frame(np.datetime64("2026-01-01T00"), None),
    ],
    "fixed offsets": [
        lambda: pd.DataFrame({"x": pd.date_range("2026", periods=2, tz=timezone(timedelta(hours=1)))}),
        lambda: pa.table({"x": pa.array(pd.date_range("2026", periods=2, tz="+01:00"))}),
    ],
    "uuids": [
        lambda: frame(uuid.UUID(int=5)),
        lambda: pa.table({"x": pa.array([uuid.UUID(int=5).bytes], pa.uuid())}),
    ],
    "row numbers do not count": [
        lambda: pd.DataFrame({"x": [1, 2]}),
        lambda: pd.DataFrame({"x": [1, 2]}, index=[7, 3]),
        lambda: pl.DataFrame({"x": [1, 2]}),
    ],
    "an index is columns": [
        lambda: pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2026", periods=2, name="day")),
        lambda: pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2026", periods=2, name="day")).reset_index(),
    ],
    "columns": [
        lambda: [1, 2],
        lambda: np.array([1, 2]),
        lambda: pd.Series([1, 2], index=["a", "b"]),
        lambda: pd.Index([1, 2]),
        lambda: pl.Series("y", [1, 2]),
        lambda: pa.chunked_array([[1], [2]]),
    ],
    "masked elements": [
        lambda: np.ma.array([1, 2], mask=[False, True]),
        lambda: np.ma.array([1, 5], mask=[False, True]),
        lambda: pd.array([1, None], dtype="Int64"),
    ],
    "records of NumPy": [
        lambda: np.array([(1, "a")], dtype=[("x", "i4"), ("y", "U3")]),
        lambda: pd.DataFrame({"x": np.array([1], "i4"), "y": ["a"]}),
    ],
    "one zero and one NaN": [
        lambda: np.array([0.0, np.nan]),
        lambda: np.array([-0.0, -np.nan]),
        lambda: np.array([0, 0x7FF0000000000001], "u8").view("f8"),
    ],
    "sparse matrices of every format": [
        *(
            lambda f=f: sparse.coo_matrix([[0, 1], [2, 0]]).asformat(f)
            for f in ("csr", "csc", "lil", "dok", "dia")
        ),
        lambda: sparse.bsr_array([[0, 1], [2, 0]]),
        lambda: sparse_in_any_order([1, 0], [0, 1], [2, 1]),
        lambda: sparse_in_any_order([1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 0]),
    ],
    "plain values": [lambda: {"a": 1, "b": [1]}, lambda: {"b": [1], "a": 1}],
}

OTHER: dict[str, list[Make]] = {
    "integers beyond 2^53 beside a missing value": [
        lambda: frame(2**53, None, dtype="Int64"),
        lambda: frame(2**53 + 1, None, dtype="Int64"),
        lambda: frame(float(2**53), None),
    ],
    "a value and its text": [
        lambda: frame(date(2026, 1, 1)),
        lambda: frame("2026-01-01"),
        lambda: frame(DAY),
        lambda: frame("2026-01-01T00:00:00"),
        lambda: frame(pd.Period("2026-01", "M")),
        lambda: frame(pd.Period("2026-01-01", "D")),
    ],
    "decimals": [
        lambda: frame(Decimal("1.1")),
        lambda: frame("1.1"),
        lambda: frame(1.1),
        lambda: frame(Decimal("-1.1")),
    ],
    "bytes": [lambda: frame(b"abc"), lambda: frame("YWJj"), lambda: frame("abc")],
    "time zones": [
        lambda: pd.DataFrame({"x": pd.date_range("2026", periods=1)}),
        lambda: pd.DataFrame({"x": pd.date_range("2026", periods=1, tz="UTC")}),
        lambda: pd.DataFrame({"x": pd.date_range("2026", periods=1, tz="UTC").tz_convert("Europe/Berlin")}),
        lambda: frame(pd.Timestamp("2026", tz="UTC"), pd.Timestamp("2026", tz="Europe/Berlin")),
    ],
    "names": [
        lambda: pd.DataFrame({1: [1]}),
        lambda: pd.DataFrame({"1": [1]}),
        lambda: pd.DataFrame({1.0: [1]}),
        lambda: pd.DataFrame({True: [1]}),
        lambda: pd.DataFrame({None: [1]}),
        lambda: pd.DataFrame({("1",): [1]}),
        lambda: pd.DataFrame([[1, 1]], columns=["1", "1"]),
    ],
    "names and values that join to the same text": [
        lambda: pd.DataFrame({"ab": ["c"]}),
        lambda: pd.DataFrame({"a": ["bc"]}),
        lambda: pd.DataFrame({"x": ["ab", "c"]}),
        lambda: pd.DataFrame({"x": ["a", "bc"]}),
        lambda: pd.DataFrame({"x": ["abc", ""]}),
    ],
    "numbers of other types": [
        *(
            lambda t=t: np.ones(2, t)
            for t in ("i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8", "c8", "c16", "g", "?")
        ),
        lambda: frame(1, "1"),
        lambda: frame(1, 1.0),
        lambda: frame(1, True),
        lambda: frame(2**63, 1),
        lambda: frame(2**70, 1),
    ],
    "missing and present": [
        lambda: pl.DataFrame({"x": [1.0, None]}),
        lambda: pl.DataFrame({"x": [1.0, float("nan")]}),
        lambda: pl.DataFrame({"x": [None, 1.0]}),
        lambda: pl.DataFrame({"x": [1.0, 0.0]}),
        lambda: pl.DataFrame({"x": [1.0]}),
        lambda: pl.DataFrame({"x": [None, None]}),
    ],
    "lists": [
        lambda: frame([1], [2, 3]),
        lambda: frame([1, 2], [3]),
        lambda: frame([1, 2, 3], []),
        lambda: frame([[1], [2, 3]]),
        lambda: frame(["1"], ["2", "3"]),
        lambda: frame([1.0], [2.0, 3.0]),
        lambda: frame({1}, {2, 3}),
    ],
    "records": [
        lambda: frame({"x": 1, "y": None}),
        lambda: frame({"x": 1}),
        lambda: frame({"x": None, "y": 1}),
        lambda: frame({1: "x"}),
        lambda: frame({"1": "x"}),
    ],
    "an index that is data": [
        lambda: pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2026", periods=2)),
        lambda: pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2027", periods=2)),
        lambda: pd.DataFrame({"x": [1, 2]}),
    ],
    "bounds": [
        lambda: pd.DataFrame({"x": pd.interval_range(0, 2)}),
        lambda: pd.DataFrame({"x": pd.interval_range(0, 2, closed="left")}),
        lambda: pd.DataFrame({"x": pd.interval_range(1, 3)}),
        lambda: pd.DataFrame({"x": pd.cut([1, 2], 2)}),
    ],
    "shapes": [
        lambda: np.zeros((0, 3)),
        lambda: np.zeros((0, 4)),
        lambda: np.zeros((2, 3)),
        lambda: np.zeros((3, 2)),
        lambda: np.zeros(6),
        lambda: sparse.csr_matrix((2, 3)),
        lambda: sparse.csr_matrix((3, 2)),
        lambda: np.float64(0),
    ],
    "dense and sparse": [lambda: np.eye(2), lambda: sparse.eye(2), lambda: sparse.eye(2, dtype="int64")],
    "mixed values in another order": [lambda: frame(1, "1"), lambda: frame("1", 1), lambda: frame("1", "1")],
    "empty": [pd.DataFrame, lambda: pd.DataFrame(index=range(2)), lambda: pd.DataFrame({"x": []})],
}


@pytest.mark.parametrize("makers", EQUAL.values(), ids=EQUAL)
def test_equal_data_have_one_digest(makers: list[Make]) -> None:
    assert len({data_digest(make()) for make in makers}) == 1


@pytest.mark.parametrize("makers", OTHER.values(), ids=OTHER)
def test_other_data_have_another_digest(makers: list[Make]) -> None:
    digests = [data_digest(make()) for make in makers]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
        lambda: pd.DataFrame({"x": pd.Categorical([1, "a", None, 2.5])}),
        lambda: pd.DataFrame({"x": pd.Categorical([None, None])}),
        lambda: pd.DataFrame({"x": pd.arrays.SparseArray([0, 1.0])}),
        lambda: pd.DataFrame({"x": pd.date_range("2026", periods=2, tz=zoneinfo.ZoneInfo("Europe/Berlin"))}),
        lambda: frame(time(1, 2, 3, 4), None, time(1, tzinfo=UTC)),
        lambda: frame(pd.Timestamp(1), DAY.replace(year=9999)),
        lambda: frame("\ud800"),
        lambda: frame(np.ones((2, 2)), np.ones((1, 2)), np.array(1), np.float32(1)),
        lambda: frame(pd.DataFrame({"y": [1]}), None),
        lambda: pl.DataFrame({"x": pl.Series([2**100, None], dtype=pl.Int128)}),
        lambda: pl.DataFrame({"x": pl.Series([Decimal(1), "a", None], dtype=pl.Object)}),
        lambda: pa.table({"x": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))}),
        lambda: pa.table({"x": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
        lambda: pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((2, 2, 2)))}),
        lambda: pa.table(
            {
                "x": pa.UnionArray.from_sparse(
                    pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
                )
            }
        ),
        lambda: np.array(["a", "bc"], dtype=np.dtypes.StringDType()),
        lambda: np.zeros(2, dtype=[("x", "i4", (3,)), ("y", "V2")]),
        lambda: np.array(["2026-01"], "M8[M]"),
        lambda: np.array([1], "M8[ps]"),
        lambda: np.array(["NaT"], "M8"),
        lambda: np.array([1], np.clongdouble),
        lambda: sparse.coo_array(np.arange(8).reshape(2, 2, 2)),
        lambda: sparse.csr_matrix((3, 0)),
        lambda: None,
    ],
)
def test_odd_data_have_a_digest_that_a_copy_has_too(make: Make) -> None:
    assert data_digest(make()).startswith("rdh2:")
    assert data_digest(make()) == data_digest(make())


class Odd:
    """A class that no library has."""


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: pd.DataFrame({"ok": [1], "odd": [Odd()]}), ["'odd'", "(object)", "Odd", "pandas.DataFrame"]),
        (lambda: pl.DataFrame({"odd": pl.Series([Odd()], dtype=pl.Object)}), ["'odd'", "(Object)", "Odd"]),
        (lambda: pa.table({"x": [1]}).to_reader(), ["reader.read_all()"]),
        (Odd, ["Odd"]),
        (lambda: frame([[[Odd()]]]), ["'x'", "Odd"]),
        (lambda: (cell := [], cell.append(cell), frame(cell))[-1], ["'x'", "50 levels"]),
        (lambda: [Path("a.csv")], ["Path"]),
    ],
)
def test_a_refusal_names_the_column_its_type_and_what_to_do(make: Make, named: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        data_digest(make())
    assert [word for word in named if word not in refused.value.detail] == []
    assert refused.value.code == "no_digest"
    assert "pass a digest that you computed" in refused.value.advice


def test_a_text_is_the_path_of_data(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n")
    of_file = data_digest(tmp_path / "d.csv")
    assert of_file == data_digest(str(tmp_path / "d.csv")) != data_digest(tmp_path)
    assert of_file != data_digest(b"a,b\n")
    with pytest.raises(Invalid, match=r"no file or folder 's3://bucket/d\.csv'"):
        data_digest("s3://bucket/d.csv")


def test_data_are_compared_in_the_form_of_their_digest() -> None:
    data = pd.DataFrame({"x": [1.0, 2.0]})
    old = form_1.data_digest(data)
    assert old.startswith("sha256:")
    for digest in (old, data_digest(data)):
        assert same_data(digest, data)
        assert not same_data(digest, data + 1)
    with pytest.raises(Invalid, match="neither"):
        same_data("md5:1", data)


def test_a_run_checks_and_keeps_the_digest_of_an_earlier_version() -> None:
    data = pd.DataFrame({"x": [1.0, 2.0]})
    old = form_1.data_digest(data)
    run = regista.capture().train_data("march", data, digest=old)
    assert (run.dataset, run.features) == ({"name": "march", "digest": old}, ["x"])
    with pytest.raises(Invalid, match="not the one of these data"):
        regista.capture().test_data("holdout", data + 1, digest=old)
    assert regista.capture().train_data("march", data, digest="dvc:1").dataset == {
        "name": "march",
        "digest": "dvc:1",
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({"a": [1], "b": [2]}),
        lambda: pd.DataFrame({"a": [1], "b": [2]}, index=pd.Index(["k"], name="key")),
        lambda: pl.DataFrame({"a": [1], "b": [2]}),
        lambda: pl.LazyFrame({"a": [1], "b": [2]}),
        lambda: pa.table({"a": [1], "b": [2]}),
        lambda: np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
    ],
)
def test_the_features_are_the_columns_of_any_frame(make: Make) -> None:
    assert regista.capture().train_data("march", make()).features == ["a", "b"]


def test_the_memory_of_a_library_is_kept_as_long_as_it_is_read() -> None:
    categories = pd.DataFrame(
        {"x": pd.Categorical(pd.Series([f"category {i}" for i in range(5000)], dtype="str"))}
    )
    assert data_digest(categories) == data_digest(pd.DataFrame({"x": categories["x"].astype(str)}))


@pytest.mark.parametrize("words", [["auc=nan"], ["auc=inf"]])
def test_an_evaluation_that_is_no_number_is_refused_by_name(run: Any, words: list[str]) -> None:
    result = run("versions", "evaluate", "churn@3", *words, "--on", "march", "--digest", "dvc:1")
    assert result.exit_code == 2
    assert "the metric 'auc'" in result.stderr


def test_an_evaluation_keeps_the_digest_that_is_given_with_its_data(
    run: Any, answers: Answers, tmp_path: Path
) -> None:
    data = tmp_path / "march.csv"
    data.write_text("a\n1\n")
    old = form_1.data_digest(data)
    answers.fixed["POST", "/v1/models/churn/versions/3/evaluations"] = JSONResponse({}, 201)
    to = ["versions", "evaluate", "churn@3", "auc=0.9", "--on", "march", "--data", str(data), "--digest"]
    assert run(*to, old).exit_code == 0
    (sent,) = answers.of("POST", "/v1/models/churn/versions/3/evaluations")
    assert json.loads(sent.body)["dataset_digest"] == old
    refused = run(*to, "sha256:" + "0" * 64)
    assert refused.exit_code == 2
    assert "not the one of these data" in refused.stderr
