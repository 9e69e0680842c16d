"""The mandatory metadata of a version, by the kind of its model.

The registry refuses a version that lacks a field, the client does before it uploads, and the schema of
`ModelTrained` is made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

ARTIFACT = "artifact.digest"
TRAINED = (
    "training.config",
    "training.dataset.digest",
    "training.metrics",
    "training.trained_at",
    "training.creator",
    "training.code",
    "signature",
    "signature.outputs",
    "artifact.digest",
)
MANDATORY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "model": TRAINED,
        "adapter": (*TRAINED, "parents"),
        "embedding": TRAINED,
        "preprocessing": (
            "training.config",
            "training.trained_at",
            "training.creator",
            "training.code",
            "signature",
            "signature.outputs",
            "artifact.digest",
        ),
        "prompt": ("training.trained_at", "training.creator", "artifact.digest"),
    }
)
"""An adapter names its base model. A preprocessing step needs no metrics. A prompt needs no training data.

`training.code` is a digest or a revision; `signature.outputs` counts only where there is a signature, and
`parents` is a parent with the relation `base_model`.
"""


def problem_of_missing(name: str, kind: str) -> str:
    """Return the text of the problem that a mandatory field is missing."""
    called = (
        f" (`{name.replace('signature', 'schema')}` in the client)" if name.startswith("signature") else ""
    )
    return f"missing{called}; it is mandatory for the kind {kind}"


def missing_fields(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the mandatory fields that ModelTrained's data lack; none for a draft.

    Data without a kind are those of a `model`.
    """
    if data.get("draft"):
        return ()
    return tuple(name for name in MANDATORY.get(data.get("kind") or "model", ()) if not _has(data, name))


def _has(data: Mapping[str, Any], name: str) -> bool:
    found = _at(data, name)
    if name in {"training.config", "signature"}:
        return found is not None
    if name == "signature.outputs":
        return data.get("signature") is None or bool(found)
    if name == "training.code":
        return bool(found) and bool(found.get("digest") or found.get("revision"))
    if name == "parents":
        return any(parent.get("relation") == "base_model" for parent in found or ())
    return bool(found)


def _at(data: Any, name: str) -> Any:
    for part in name.split("."):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data
