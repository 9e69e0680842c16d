"""What the client publishes fits the schemas that the services publish."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator

import regista
from regista.errors import Invalid
from regista.loading.usage import MODEL_USED, Used, _data
from regista.publishing.publication import MODEL_TRAINED, document, event
from regista.wire.dsse import verify
from regista.wire.keys import generate_signing_key

INBOUND = Path(__file__).parents[3] / "schemas" / "public" / "inbound"
ARTIFACT = {
    "digest": "sha256:" + "a" * 64,
    "files": [{"path": "m.onnx", "size": 1, "sha256": "a" * 64}],
    "location": "u",
}


def _fits(name: str, data: Any) -> None:
    schema = json.loads((INBOUND / f"{name}.json").read_text())
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        json.loads(msgspec.json.encode(data))
    )


def _run() -> regista.Run:
    x, y = np.zeros((4, 2), dtype="float32"), np.zeros(4, dtype="int64")
    with regista.capture(config={"C": np.float64(1)}, seed=3, framework="scikit-learn") as run:
        run.train_data("bank", x, y, features=["a", "b"]).test_data("holdout", x).metric(
            "auc", 0.9, primary=True, definition="macro"
        )
        run.schema(x, y, labels=[0, 1])
    return run


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"draft": True},
        {
            "version": "minor",
            "exact": True,
            "compare_with": "1.2.0",
            "tags": {"a": "b"},
            "tier": "high",
            "owner": "team:x",
            "description": "d",
            "kind": "embedding",
        },
        {
            "compare_with": 3,
            "parents": [{"model": "base", "number": 1, "relation": "base_model"}],
            "on_behalf_of": "person:ann",
            "run_url": "https://x",
        },
    ],
)
def test_a_publication_fits_the_schema_of_model_trained(facts: dict[str, Any]) -> None:
    _fits(
        "ModelTrained.v1",
        document("crm.churn", _run(), creator="person:ann", **facts) | {"artifact": ARTIFACT},
    )
    _fits("ModelTrained.v1", document("crm.churn", **facts | {"draft": True}))


def test_a_usage_report_fits_the_schema_of_model_used() -> None:
    now = datetime.now(UTC)
    _fits(
        "ModelUsed.v1",
        _data(Used("crm.churn", "01980000-0000-7000-8000-000000000000", 3, "production"), 5, now, now),
    )
    _fits("ModelUsed.v1", _data(Used("crm.churn", "", 3, "production"), 5, now, now))


def test_the_event_is_signed_and_keyed_by_the_model() -> None:
    key = generate_signing_key("publisher:nightly")
    made = event(MODEL_TRAINED, "crm.churn", {"model": "crm.churn"}, key)
    verify(made, key.public)
    assert (made.source, made.subject, made.extensions["partitionkey"]) == (
        "/publishers/publisher:nightly",
        "crm.churn",
        "crm.churn",
    )
    assert made.extensions["correlationid"] == made.id
    assert event(MODEL_USED, "crm.churn", {}, key, "same").id == "same"


@pytest.mark.parametrize("name", ["", "a b", "a..b", "crm/churn", "x" * 201])
def test_what_cannot_be_a_models_name_is_refused_before_anything_is_sent(name: str) -> None:
    with pytest.raises(Invalid, match="invalid_name"):
        document(name)


@pytest.mark.parametrize("name", ["_churn", "crm.-x", "0198f0c2-0000-7000-8000-000000000001"])
def test_a_name_that_a_model_may_have_from_before_is_sent(name: str) -> None:
    assert document(name)["model"] == name
