"""How the facts of a version are written in a model package of SageMaker, within its limits. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from regista.wire import mirrored
from services.mirror.targets.base import Wanted
from services.mirror.targets.model_archive import NAME, size_of
from services.mirror.targets.texts import approvals, ended, traffic

OWN = "regista."
ID, POSITION = mirrored.SAGEMAKER, "regista.position"
"""The property by which a package is found again, and that with the place in the log."""
LONGEST_NAME, LONGEST_TEXT, LONGEST_VALUE, LONGEST_KEY = 63, 1024, 256, 128
PROPERTIES = 50
APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
_STATUS: Mapping[str, str] = MappingProxyType(
    {"Production": APPROVED, "Archived": APPROVED, "Rejected": REJECTED}
)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")
_NOT_IN_VALUES = re.compile(r"[^\w \u00a0.:/=+\-@]+")


def name_there(prefix: str, model: str) -> str:
    """Return the name of a model's group: other characters become hyphens; a long name ends with a digest."""
    name = _NOT_IN_NAMES.sub("-", f"{prefix}{model}").strip("-")
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(f"{prefix}{model}".encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9].rstrip('-')}-{digest}"


def description_of(wanted: Wanted) -> str:
    """Return the description of a package, which never changes. It ends with what the package is found by."""
    mark = mark_of(wanted)
    return f"{_cut(text(wanted.description), LONGEST_TEXT - len(mark) - 1)} {mark}".strip()


def mark_of(wanted: Wanted) -> str:
    """Return the end of a package's description: lists of packages have no other field that is ours."""
    return f"({OWN}{wanted.tag})"


def approval_of(wanted: Wanted) -> str:
    """Return the approval status: approved is what serves in production, or did and may again."""
    if wanted.withdrawn or wanted.retired:
        return REJECTED
    return _STATUS.get(wanted.stage, PENDING)


def approval_text(wanted: Wanted) -> str:
    """Return who approved and in which reviews, or why the version may not be used."""
    return _cut(text(ended(wanted) or approvals(wanted)), LONGEST_TEXT)


def life_cycle(wanted: Wanted) -> dict[str, str]:
    """Return stage and traffic."""
    if wanted.withdrawn or wanted.retired:
        status = "Withdrawn" if wanted.withdrawn else "Retired"
    else:
        status = "Serving" if wanted.shares else "NotServing"
    return {
        "Stage": wanted.stage,
        "StageStatus": status,
        "StageDescription": _cut(text(traffic(wanted)), LONGEST_TEXT),
    }


def properties_of(wanted: Wanted) -> dict[str, str]:
    """Return the customer metadata: ours, and of the version's tags those that are legal there and fit."""
    ours = {
        ID: wanted.tag,
        "regista.model": wanted.model,
        "regista.number": str(wanted.number),
        "regista.semver": wanted.semver,
        "regista.artifact": wanted.artifact_digest,
        "regista.data": wanted.data_set,
        "regista.data_digest": wanted.data_digest,
        "regista.review": " ".join(one.review_id for one in wanted.approvals),
        "regista.aliases": " ".join(sorted(wanted.aliases)),
        "regista.creator": wanted.creator,
        "regista.framework": wanted.framework,
        POSITION: wanted.position.replace("#", "/"),
    }
    found = {key: _value(value) for key, value in ours.items() if value}
    legal = {key: value for key, value in sorted(wanted.tags.items()) if _is_legal(key, value)}
    own = dict(list(legal.items())[: PROPERTIES - len(found) - 1])
    if left := len(wanted.tags) - len(own):
        found["regista.tags_left_out"] = str(left)
    return own | found


def metrics_of(wanted: Wanted) -> bytes:
    """Return the document of the model's quality: the metrics when the package is made."""
    found: dict[str, dict[str, Any]] = {}
    for one in wanted.metrics:
        key = f"{one.name} on {one.data_set or one.data_digest}" if one.name in found else one.name
        found[key] = {
            "value": one.value,
            "data_set": one.data_set,
            "data_digest": one.data_digest,
            "claimed": one.claimed,
        }
    return json.dumps({"regista_metrics": found}, sort_keys=True, ensure_ascii=False).encode()


def fields_of(wanted: Wanted) -> dict[str, str]:
    """Return the fields that a package has to show, by the names of SageMaker."""
    fields = {
        "ModelApprovalStatus": approval_of(wanted),
        "ApprovalDescription": approval_text(wanted),
        **{f"ModelLifeCycle.{name}": value for name, value in life_cycle(wanted).items()},
    }
    properties = properties_of(wanted)
    properties.pop(POSITION, None)
    fields |= {f"property {name}": value for name, value in properties.items()}
    if wanted.files:
        fields[NAME] = archive_text(size_of(wanted.files), wanted.artifact_digest)
    return fields


def found_fields(package: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that a package has, without that of its files."""
    cycle = package.get("ModelLifeCycle") or {}
    properties = package.get("CustomerMetadataProperties") or {}
    return {
        "ModelApprovalStatus": str(package.get("ModelApprovalStatus") or ""),
        "ApprovalDescription": str(package.get("ApprovalDescription") or ""),
        **{
            f"ModelLifeCycle.{n}": str(cycle.get(n) or "")
            for n in ("Stage", "StageStatus", "StageDescription")
        },
        **{f"property {name}": str(value) for name, value in properties.items()},
    }


def archive_text(size: int, digest: str) -> str:
    """Return size and origin of an archive as one text."""
    return f"{size} bytes of {digest}"


def text(value: str) -> str:
    """Return a text that SageMaker takes: in one line, without control and unassigned characters."""
    return "".join(" " if _is_illegal(one) else one for one in value).strip()


def _is_illegal(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("C") or category in {"Zl", "Zp"}


def _value(value: str) -> str:
    return _within(_NOT_IN_VALUES.sub("_", value), LONGEST_VALUE)


def _is_legal(key: str, value: str) -> bool:
    sizes = 0 < _units(key) <= LONGEST_KEY and 0 < _units(value) <= LONGEST_VALUE
    return sizes and not key.startswith((OWN, "aws:")) and not _NOT_IN_VALUES.search(f"{key}{value}")


def _cut(value: str, most: int) -> str:
    return value if _units(value) <= most else _within(value, most - 1) + "…"


def _within(value: str, most: int) -> str:
    """Return the beginning of a text that has at most so many units."""
    raw = value.encode("utf-16-le", "surrogatepass")[: 2 * most]
    return raw.decode("utf-16-le", "ignore")


def _units(value: str) -> int:
    """Return the length of a text as services on Java count it: some characters are two."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2
