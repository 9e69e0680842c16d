"""What the file `MLmodel` adds to a version: schema, framework, time of the training."""

from __future__ import annotations

from typing import Any

from regista.wire import mlmodel

Json = dict[str, Any]


def facts(content: bytes) -> Json:
    """Return what a version's metadata take from the file; nothing of one that cannot be read."""
    found = mlmodel.read(content)
    training = {"framework": found.framework, "trained_at": found.created}
    stated = {name: value for name, value in training.items() if value}
    return ({"training": stated} if stated else {}) | ({"signature": found.schema} if found.schema else {})
