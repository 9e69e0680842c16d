"""What a run captures: digests that depend on the data and nothing else, and schemas from examples."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import regista
from regista.errors import Invalid
from regista.publishing.code_identity import code_identity
from regista.publishing.data_digest import data_digest
from regista.publishing.publication import document
from regista.publishing.schema import addressed_by, dtype_of, schema_of

MATRIX = arrays.arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6))


class Frame:
    """A data frame to duck typing."""

    def __init__(self, **columns: np.ndarray) -> None:
        self.columns = list(columns)
        self._columns = columns

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]


@settings(deadline=None)  # the first example imports the readers
@given(MATRIX)
def test_memory_layout_and_byte_order_do_not_change_a_digest(data: np.ndarray) -> None:
    assert (
        data_digest(data)
        == data_digest(np.asfortranarray(data))
        == data_digest(data.astype(">f8"))
        == data_digest(np.hstack([data, data])[:, :4])
    )


@settings(deadline=None)
@given(MATRIX, st.integers(0, 11))
@pytest.mark.slow
def test_one_other_value_changes_a_digest(data: np.ndarray, at: int) -> None:
    other = data.copy()
    other.flat[at] += 1
    assert data_digest(data) != data_digest(other)


def test_dtype_shape_names_and_order_change_a_digest() -> None:
    a, b = np.arange(4.0), np.arange(4.0) + 1
    digests = [
        data_digest(a),
        data_digest(a.astype("float32")),
        data_digest(a.reshape(2, 2)),
        data_digest(a, b),
        data_digest(b, a),
        data_digest(np.stack([a, b])),
        data_digest(Frame(x=a, y=b)),
        data_digest(Frame(x=a, z=b)),
        data_digest(np.array(["a", "bc"])),
        data_digest(np.array(["ab", "c"])),
        data_digest(np.array([], dtype="f8")),
        data_digest(np.array([1, 2])),
        data_digest(b"12"),
    ]
    assert len(set(digests)) == len(digests)


def test_no_data_has_no_digest_or_all_of_it_would_be_the_same() -> None:
    with pytest.raises(Invalid, match="no data"):
        regista.capture().train_data("march")
    with pytest.raises(Invalid, match="no data"):
        regista.capture().test_data("holdout")
    assert regista.capture().train_data("march", digest="sha256:1").dataset == {
        "name": "march",
        "digest": "sha256:1",
    }


@pytest.mark.parametrize("examples", [[[1.0, 2.0]], (1, 2), {"x": [1]}])
def test_a_list_has_no_schema(examples: Any) -> None:
    with pytest.raises(TypeError, match="has no schema") as refused:
        schema_of(examples, name="input")
    assert isinstance(refused.value, Invalid)
    assert "numpy" in refused.value.advice


def test_the_schema_of_arrays_and_frames() -> None:
    x = np.zeros((5, 2), dtype="float32")
    assert schema_of(x, name="input") == [{"name": "input", "type": "float32[?,2]"}]
    assert schema_of(x, name="input", features=["age", "sum"]) == [
        {"name": "age", "type": "float32"},
        {"name": "sum", "type": "float32"},
    ]
    assert schema_of(np.zeros(5, dtype="int64"), name="output") == [{"name": "output", "type": "int64"}]
    assert schema_of(Frame(a=np.array(["x"]), b=np.array([True])), name="i") == [
        {"name": "a", "type": "string"},
        {"name": "b", "type": "bool"},
    ]
    with pytest.raises(ValueError, match="3 feature names for 2 columns"):
        schema_of(x, name="input", features=["a", "b", "c"])


def test_callers_send_frames_and_dicts_by_name_and_arrays_by_position() -> None:
    x = np.zeros((5, 2), dtype="float32")
    assert addressed_by(Frame(a=x[:, 0])) == addressed_by({"ids": x}) == "name"
    assert addressed_by(x) == addressed_by([x, x]) == "position"
    assert schema_of({"ids": x, "mask": x[:, 0]}, name="input") == [
        {"name": "ids", "type": "float32[?,2]"},
        {"name": "mask", "type": "float32"},
    ]
    assert [field["name"] for field in schema_of((x, x), name="input")] == ["input_0", "input_1"]


def test_the_type_of_a_column_that_may_lack_values_states_it() -> None:
    class Column:
        dtype = "Int64"

    assert dtype_of(Column()) == "int64?"
    assert dtype_of(np.zeros(1)) == "float64"


def test_a_run_becomes_the_training_section_with_nothing_it_does_not_know() -> None:
    x, y = np.zeros((5, 2)), np.zeros(5, dtype="int64")
    with regista.capture(config={"C": 1.0}, seed=7) as run:
        run.train_data("bank", x, y, features=["age", "sum"])
        run.test_data("bank-holdout", x[:2], y[:2]).metric("auc", 0.9, primary=True)
        run.schema(x, y, labels=[0, 1])
    result = run.training()
    assert result["dataset"] == {"name": "bank", "digest": data_digest(x, y)}
    assert result["metrics"] == [
        {
            "name": "auc",
            "value": 0.9,
            "dataset_name": "bank-holdout",
            "dataset_digest": data_digest(x[:2], y[:2]),
            "higher_is_better": True,
            "primary": True,
        }
    ]
    assert result["code"]["digest"].startswith("sha256:")
    assert result["environment"]["packages"]["numpy"] == np.__version__
    assert (result["seed"], result["features"], result["trained_at"][-1]) == (7, ["age", "sum"], "Z")
    assert run.model_schema == {
        "inputs": [{"name": "age", "type": "float64"}, {"name": "sum", "type": "float64"}],
        "outputs": [{"name": "output", "type": "int64", "labels": ["0", "1"]}],
        "inputs_by": "position",
        "outputs_by": "position",
    }
    assert "dataset" not in regista.capture().training()


def test_a_metric_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="test data") as refused:
        regista.capture().metric("auc", 0.9)
    assert isinstance(refused.value, Invalid)
    assert "run.test_data(" in refused.value.advice


def test_names_of_another_number_of_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="1 feature names for 2 columns") as refused:
        schema_of(np.zeros((3, 2)), name="input", features=["a"])
    assert isinstance(refused.value, Invalid)


def test_code_of_the_same_name_in_two_folders_has_one_identity(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "src").mkdir(parents=True)
        (tmp_path / folder / "src" / "fit.py").write_text(f"fit({folder})")
    folders = [tmp_path / "a" / "src", tmp_path / "b" / "src"]
    both = code_identity(folders)
    assert both == code_identity([*folders, folders[0]]) != code_identity(folders[:1])
    (tmp_path / "b" / "src" / "fit.py").write_text("fit(2)")
    assert code_identity(folders) != both
    assert code_identity([folder / "fit.py" for folder in folders]) is not None


def test_code_identity_covers_the_declared_code_and_not_the_rest_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "fit.py").write_text("fit()")
    (tmp_path / "other.py").write_text("1")
    before = code_identity([tmp_path / "train"])
    (tmp_path / "other.py").write_text("2")
    assert code_identity([tmp_path / "train"]) == before
    (tmp_path / "train" / "fit.py").write_text("fit(2)")
    assert code_identity([tmp_path / "train"]) != before


def test_the_git_revision_marks_a_changed_tree_and_hides_credentials(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            capture_output=True,
        )

    (tmp_path / "fit.py").write_text("fit()")
    git("init", "-q")
    git("remote", "add", "origin", "https://me@acme.example:token@git.example.com/x.git")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = code_identity([tmp_path / "fit.py"])
    (tmp_path / "fit.py").write_text("fit(2)")
    changed = code_identity([tmp_path / "fit.py"])
    assert clean is not None
    assert changed is not None
    assert clean["repository"] == "https://git.example.com/x.git"
    assert changed["revision"] == clean["revision"] + "-dirty"


def test_a_configuration_of_foreign_objects_becomes_plain_json_without_addresses() -> None:
    class Opaque:
        pass

    config = {
        "lr": np.float32(0.5),
        "C": np.float64(1.5),
        "n": np.int64(3),
        "layers": (8, 4),
        "path": Path("a/b"),
        "when": date(2026, 1, 2),
        "w": np.ones(2),
        "o": Opaque(),
        1: {2},
    }
    made = document("churn", training={"config": config})["training"]["config"]
    opaque = made.pop("o")
    assert type(made["C"]) is float
    assert made == {
        "lr": 0.5,
        "C": 1.5,
        "n": 3,
        "layers": [8, 4],
        "path": "a/b",
        "when": "2026-01-02",
        "w": [1.0, 1.0],
        "1": [2],
    }
    assert "Opaque" in opaque
    assert "0x" not in opaque
