"""What another registry states about a version, as ModelTrained's data that fits into a registration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from regista.importing.source import SourceModel, Stated
from regista.importing.texts import bare, clean
from regista.wire import limits

MOST_BYTES = limits.DATA_BYTES - (64 << 10)
"""Bytes of the data without its artifact's list of files."""
_TO_SHORTEN: Sequence[tuple[str, ...]] = (
    ("imported_from", "details", "model"),
    ("imported_from", "details", "run", "tags"),
    ("imported_from", "details", "datasets"),
    ("imported_from", "tags"),
    ("imported_from", "description"),
    ("imported_from", "details"),
    ("training", "environment"),
    ("signature",),
    ("training", "config"),
    ("training", "metrics"),
)
"""What a version gives up, in this order, until it fits into a registration."""


def data_of(
    stated: Stated, key: Mapping[str, str], creators: Mapping[str, str], model: SourceModel | None
) -> dict[str, Any]:
    """Return ModelTrained's data of a version, without model and artifact. Losses are added to its notes.

    `key` has the fields that name the version there, `creators` the identities here, by the user there.
    `model`: what its source states about it is added, too.
    """
    imported: dict[str, Any] = {**key, **stated.claims}
    if model and (of_model := given({"description": model.description or None, "tags": dict(model.tags)})):
        imported["details"] = {**(imported.get("details") or {}), "model": bare(of_model)}
    training = dict(stated.training)
    if creator := creators.get(str(imported.get("created_by") or "")):
        training["creator"] = creator
    found = {"training": training, "signature": stated.schema, "imported_from": imported}
    return fitted(found, stated.notes)


def fitted(found: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return data in the form and within the limits of a registration. Losses are added to the notes."""
    data = given(clean(found))
    _fit(data, notes)
    return data


def added_to(draft: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a version's data a draft lacks: fields without a value, and those that are mandatory."""
    stated = draft["training"] or {}
    lacks = {".".join(name.split(".")[:2]) for name in draft["missing"] or ()}
    training = {
        name: value
        for name, value in data.get("training", {}).items()
        if stated.get(name) in (None, [], {}) or f"training.{name}" in lacks
    }
    signature = data.get("signature") if not draft["schema"] else None
    return given({"training": training, "signature": signature})


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stated: values that are not None and not empty."""
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def label(text: Any) -> str | None:
    """Return a short text, cut where it is longer."""
    return str(text)[: limits.LABEL] if text else None


def _fit(data: dict[str, Any], notes: list[str]) -> None:
    """Leave out what makes the data too large, largest losses last, and note it in the claims, too."""
    left_out = []
    for path in _TO_SHORTEN:
        if len(msgspec.json.encode(data)) <= MOST_BYTES:
            break
        if _removed(data, path):
            left_out.append(".".join(path))
    if left_out:
        if "imported_from" in data:
            data["imported_from"].setdefault("details", {})["left_out_as_too_large"] = left_out
        notes.append(f"too large: {', '.join(left_out)}")


def _removed(data: dict[str, Any], path: Iterable[str]) -> bool:
    *above, last = path
    inner: Any = data
    for name in above:
        inner = inner.get(name) if isinstance(inner, dict) else None
    return isinstance(inner, dict) and inner.pop(last, None) is not None


def within_limits(metrics: Iterable[dict[str, Any]], odd: int, notes: list[str]) -> list[dict[str, Any]]:
    """Return as many metrics as a version may have. The notes get how many are left out or are `odd`."""
    found = list(metrics)
    if odd:
        notes.append(f"{odd} metrics are no numbers or have longer names than {limits.NAME} characters")
    if len(found) > limits.METRICS:
        notes.append(f"{len(found) - limits.METRICS} metrics beyond {limits.METRICS}")
    return found[: limits.METRICS]
