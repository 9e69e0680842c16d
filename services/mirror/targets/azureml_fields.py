"""How the facts of a version are written in Azure ML's names, tags and properties. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from regista.wire import mirrored
from services.mirror.targets.base import File, Wanted
from services.mirror.targets.texts import approvals, cut, ended, traffic

OWN = "regista."
POSITION = "regista.position"
"""The tag with the version's place in the log."""
FILES, OTHERS = "files", "files of others"
LONGEST_NAME, LONGEST_TEXT, LONGEST_VALUE, LONGEST_KEY, TAGS = 255, 5_000, 1_000, 100, 50
"""Azure states the last four for runs, and nothing for models."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]*")
_DIGITS = 32


def name_there(prefix: str, model: str) -> str:
    """Return a model's name in Azure ML, which no other model of ours gets.

    A dot becomes two hyphens. A name of which that is not the only reading, which is too long or has
    upper case ends with three hyphens and a digest: Azure may not distinguish upper and lower case.
    """
    name = f"{prefix}{model.replace('.', '--')}"
    read = name.removeprefix(prefix).replace("--", ".")
    if _PLAIN.fullmatch(name) and len(name) <= LONGEST_NAME and read == model and "---" not in name:
        return name
    digest = hashlib.sha256(model.encode()).hexdigest()[:_DIGITS]
    beginning = re.sub(r"[^A-Za-z0-9_-]", "-", name)[: LONGEST_NAME - _DIGITS - 3].lstrip("-_")
    return f"{beginning or 'model'}---{digest}"


def properties_of(wanted: Wanted) -> dict[str, str]:
    """Return what never changes: Azure ML does not change it either."""
    found = {
        mirrored.AZURE_ML: wanted.tag,
        "regista.number": str(wanted.number),
        "regista.semver": wanted.semver,
        "regista.artifact": wanted.artifact_digest,
        "regista.data": wanted.data_set,
        "regista.data_digest": wanted.data_digest,
        "regista.creator": wanted.creator,
    }
    return {key: cut(value, LONGEST_VALUE) for key, value in found.items() if value}


def tags_of(wanted: Wanted) -> dict[str, str]:
    """Return the tags: ours, also empty ones, and those of the version's own that fit."""
    metrics, lost = _metrics(wanted)
    ours = {
        "regista.model": wanted.model,
        "regista.status": ended(wanted) or "usable",
        "regista.aliases": " ".join(sorted(wanted.aliases)),
        "regista.serving": traffic(wanted),
        "regista.approvals": approvals(wanted),
        "regista.framework": wanted.framework,
        "regista.metrics": metrics,
    }
    legal = {key: value for key, value in sorted(wanted.tags.items()) if _is_legal(key, value)}
    own = dict(list(legal.items())[: TAGS - len(ours) - 2])  # the place in the log, and what is left out
    left = {"tags": len(wanted.tags) - len(own), "metrics": lost}
    ours["regista.left_out"] = ", ".join(f"{count} {what}" for what, count in left.items() if count)
    return own | {key: cut(value, LONGEST_VALUE) for key, value in ours.items()}


def description_of(wanted: Wanted) -> str:
    """Return the description."""
    return cut(wanted.description, LONGEST_TEXT)


def stage_there(wanted: Wanted) -> str:
    """Return the stage: Azure ML takes every text."""
    return "Archived" if is_archived(wanted) else wanted.stage


def is_archived(wanted: Wanted) -> bool:
    """Return whether the version leaves Azure's lists: it may not be loaded any more."""
    return wanted.withdrawn or wanted.retired


def type_of(wanted: Wanted) -> str:
    """Return Azure's type of a model: one with an `MLmodel` is deployed without a program."""
    return "mlflow_model" if any(file.path == "MLmodel" for file in wanted.files) else "custom_model"


def fields_of(wanted: Wanted) -> dict[str, str]:
    """Return the fields that a version has to show, by the names of Azure ML."""
    fields = {
        "description": description_of(wanted),
        "stage": stage_there(wanted),
        "isArchived": _flag(is_archived(wanted)),
        **{f"tag {key}": value for key, value in tags_of(wanted).items()},
        **{f"property {key}": value for key, value in properties_of(wanted).items()},
    }
    if wanted.files and not is_archived(wanted):
        there = {file.path: file for file in wanted.files}
        fields |= {FILES: files_text(there.values(), there), OTHERS: ""}
    return fields


def found_fields(version: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that a version has, without its files."""
    return {
        "description": str(version.get("description") or ""),
        "stage": str(version.get("stage") or ""),
        "isArchived": _flag(bool(version.get("isArchived"))),
        **{f"tag {key}": str(value or "") for key, value in (version.get("tags") or {}).items()},
        **{f"property {key}": str(value or "") for key, value in (version.get("properties") or {}).items()},
    }


def body_of(wanted: Wanted, uri: str, there: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole version: Azure ML replaces it. What others added stays."""
    kept = {key: value for key in _KEPT if (value := there.get(key)) is not None}
    tags = {key: value for key, value in (there.get("tags") or {}).items() if not key.startswith(OWN)}
    ours = {key: value for key, value in tags_of(wanted).items() if value}
    return {
        "modelType": type_of(wanted),
        "flavors": {},
        **kept,
        "modelUri": uri,
        "description": description_of(wanted),
        "stage": stage_there(wanted),
        "isArchived": is_archived(wanted),
        "tags": tags | ours | {POSITION: wanted.position},
        "properties": properties_of(wanted) | (there.get("properties") or {}),
    }


_KEPT = ("modelType", "flavors", "jobName", "isAnonymous")


def files_text(files: Iterable[File], wanted: Mapping[str, File]) -> str:
    """Return number, size and a digest of those files of an artifact that are there."""
    there = sorted((f.path, f.size, f.sha256) for f in files if f.path in wanted)
    digest = hashlib.sha256(json.dumps(there).encode()).hexdigest()[:16]
    return f"{len(there)} files, {sum(size for _, size, _ in there)} bytes, list {digest}"


def others_text(files: Iterable[File], wanted: Mapping[str, File]) -> str:
    """Return the files there that are none of the artifact's."""
    return cut(", ".join(sorted(f.path for f in files if f.path not in wanted)), LONGEST_VALUE)


def _metrics(wanted: Wanted) -> tuple[str, int]:
    """Return as many metrics as fit as JSON, and how many do not."""
    found = [[one.name, one.value, one.data_set, one.data_digest] for one in wanted.metrics]
    kept = len(found)
    while len(text := _json(found[:kept])) > LONGEST_VALUE:
        kept -= 1
    return text, len(found) - kept


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _is_legal(key: str, value: str) -> bool:
    return 0 < len(key) <= LONGEST_KEY and 0 < len(value) <= LONGEST_VALUE and not key.startswith(OWN)
