"""Trained models to register: complete metadata of a usual size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey

CREATOR = "user-ann"
"""The subject of an identity that a publisher of benchmarks creates."""


def digest(*words: object) -> str:
    return "sha256:" + hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()


def trained(model: str, number: int) -> dict[str, Any]:
    """Return ModelTrained's data for the number-th training of a model: retrained on other data."""
    dataset = digest("data", model, number)
    return {
        "model": model,
        "artifact": {
            "digest": digest("artifact", model, number),
            "location": f"upload-{number}",
            "files": [{"path": "model.onnx", "size": 1_000_000, "sha256": digest("file", model, number)[7:]}],
        },
        "training": {
            "config": {"learning_rate": 0.1, "depth": 6, "objective": "binary:logistic", "estimators": 300},
            "code": {"digest": digest("code"), "revision": "a" * 40},
            "dataset": {"name": "transactions", "digest": dataset},
            "features": [f"feature_{n}" for n in range(10)],
            "framework": {"name": "scikit-learn", "version": "1.9.1"},
            "environment": {"python": "3.11.7"},
            "metrics": [
                {
                    "name": "auc",
                    "value": 0.9 + (number % 1000) / 1e5,
                    "dataset_digest": dataset,
                    "dataset_name": "holdout",
                    "primary": True,
                }
            ],
            "trained_at": "2026-03-01T12:00:00Z",
            "creator": CREATOR,
        },
        "signature": {
            "inputs": [{"name": f"feature_{n}", "type": "float32"} for n in range(10)],
            "outputs": [{"name": "score", "type": "float32"}],
        },
    }


def message(
    key: SigningKey, number: int, now: datetime, data: Mapping[str, Any]
) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """A signed `ModelTrained` with this data, as Kafka gets it."""
    event = CloudEvent(
        f"{key.key_id}-{number}",
        f"/publishers/{key.subject}",
        "regista.ModelTrained.v1",
        data["model"],
        now.isoformat().replace("+00:00", "Z"),
        json.dumps(data).encode(),
    )
    return to_kafka(sign(event, key))
