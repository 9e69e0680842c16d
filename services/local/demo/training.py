"""Act 1: train models on 569 tumour biopsies that come with scikit-learn, and export them to ONNX."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from regista.publishing.tracking import Run, capture

SEED = 3
TEN, THIRTY = 10, 30


@dataclass(frozen=True, slots=True)
class Generation:
    """What to train: the recipe (a module), the number of rows, and the number of measurements."""

    recipe: str
    rows: int
    measurements: int
    story: str


GENERATIONS = MappingProxyType(
    {
        "first": Generation("cautious", 200, TEN, "the first"),
        "more data": Generation("cautious", 300, TEN, "retrained on more data"),
        "new code": Generation("regular", 398, TEN, "new code, better metric"),
        "new schema": Generation("regular", 398, THIRTY, "three times as many inputs"),
        "incomplete": Generation("cautious", 350, TEN, "without its data set's hash"),
        "altered": Generation("cautious", 250, TEN, "its artifact does not match its checksum"),
        "worse": Generation("stump", 60, TEN, "worse than the others"),
    }
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: the facts that `regista.capture` captured, and the ONNX file.

    `accuracy` is on the held-out rows.
    """

    generation: Generation
    run: Run
    path: Path
    accuracy: float
    seconds: float


def train(generation: Generation, folder: Path, name: str) -> Trained:
    """Train, measure on held-out data, and export.

    The ONNX file contains the model's name. Equal bytes would be one artifact for all runs of the demo, which
    is not deleted while one of them needs it.
    """
    from skl2onnx import to_onnx  # noqa: PLC0415 - heavy: imported while the servers start
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415
    from sklearn.metrics import accuracy_score  # noqa: PLC0415
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    began = time.monotonic()
    recipe = importlib.import_module(f"services.local.demo.recipes.{generation.recipe}")
    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names[: generation.measurements]]
    known, held_out, answers, right = train_test_split(
        data.data[:, : generation.measurements].astype("float32"),
        data.target,
        test_size=0.3,
        random_state=SEED,
        stratify=data.target,
    )
    rows, labels = known[: generation.rows], answers[: generation.rows]
    with capture(config=recipe.CONFIG, code=Path(str(recipe.__file__)), seed=SEED) as run:
        model = recipe.build(SEED).fit(rows, labels)
        run.train_data("biopsies", rows, labels, features=names)
        accuracy = float(accuracy_score(right, model.predict(held_out)))
        _described(run, accuracy, held_out, right, model, list(data.target_names))
    path = folder / f"{generation.recipe}-{generation.rows}-{generation.measurements}.onnx"
    exported = to_onnx(model, rows[:1], options={"zipmap": False})
    exported.doc_string = f"{name}, {generation.story}"
    path.write_bytes(exported.SerializeToString())
    return Trained(generation, run, path, accuracy, time.monotonic() - began)


def _described(run: Run, accuracy: float, held_out: Any, right: Any, model: Any, labels: list[str]) -> None:
    """Record the metric and the schema.

    All generations are measured on the same patients, so they are comparable.

    The digest leaves out the columns, which a schema may drop.
    """
    run.test_data("biopsies, held out", right)
    run.metric(
        "accuracy", accuracy, primary=True, definition="share of held-out biopsies classified correctly"
    )
    run.schema(held_out[:5], model.predict(held_out[:5]), labels=labels)


def sample(measurements: int) -> Any:
    """Return rows to predict."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    return load_breast_cancer().data[:50, :measurements].astype("float32")
