"""How the facts of a version are written in MLflow's tags, aliases, stages and names. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from regista.wire import mirrored
from services.mirror.targets.base import Approval, File, Wanted
from services.mirror.targets.texts import approved, cut, ended, traffic

ID = mirrored.MLFLOW
"""The tag by which a version is found again."""
STAGE_THERE, FILES = "current_stage", "files"
OWN = ("regista.", "mlflow.")
"""Tags that begin so are not the version's own in MLflow: they would replace ours, or MLflow's."""
LONGEST_VALUE = 5_000
"""Characters of a tag that MLflow of every supported release stores."""
_KEY = re.compile(r"[\w.\-/ :]{1,250}")
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
_STAGES: Mapping[str, str] = MappingProxyType(
    {"Production": "Production", "Validated": "Staging", "Staging": "Staging"}
)


def name_there(prefix: str, model: str) -> str:
    """Return a model's name in MLflow: every name of ours is legal there."""
    return f"{prefix}{model}"


def alias_there(alias: str) -> str:
    """Return an alias in MLflow, which keeps `latest` and `v<number>` for itself."""
    return f"regista-{alias}" if _RESERVED.fullmatch(alias) else alias


def aliases_of(wanted: Wanted) -> frozenset[str]:
    """Return the aliases: the version's own, and the name of each environment whose champion it is."""
    if wanted.retired or wanted.withdrawn:
        return frozenset()
    serving = (share.environment for share in wanted.shares if share.role == "champion")
    return frozenset(map(alias_there, (*wanted.aliases, *serving)))


def alias_list(aliases: Iterable[str]) -> str:
    """Return aliases as one text."""
    return ", ".join(sorted(aliases))


def stage_there(wanted: Wanted) -> str:
    """Return MLflow's stage."""
    return "Archived" if wanted.retired or wanted.withdrawn else _STAGES.get(wanted.stage, "Archived")


def size_of(files: Iterable[File]) -> str:
    """Return number and size of files as one text."""
    sizes = [file.size for file in files]
    return f"{len(sizes)} files, {sum(sizes)} bytes"


def tags_of(wanted: Wanted) -> dict[str, str]:
    """Return the tags: ours, and those of the version's own that MLflow can have."""
    own = {key: value for key, value in sorted(wanted.tags.items()) if _is_legal(key, value)}
    other = {key: value for key, value in wanted.tags.items() if key not in own}
    ours = {
        ID: wanted.tag,
        "regista.model": wanted.model,
        "regista.version": str(wanted.number),
        "regista.semver": wanted.semver,
        "regista.stage": wanted.stage,
        "regista.status": ended(wanted) or "usable",
        "regista.serving": traffic(wanted),
        "regista.approvals": "\n".join(map(_approval, wanted.approvals)),
        "regista.metrics": _json([[m.name, m.value, m.data_set, m.data_digest] for m in wanted.metrics]),
        "regista.artifact": wanted.artifact_digest,
        "regista.data": " ".join(part for part in (wanted.data_set, wanted.data_digest) if part),
        "regista.creator": wanted.creator,
        "regista.tags": _json(other) if other else "",
    }
    return own | {key: cut(value, LONGEST_VALUE) for key, value in ours.items() if value or key in _ALWAYS}


_ALWAYS = frozenset({"regista.serving", "regista.approvals", "regista.tags"})
"""Tags that are written when they are empty, too: what they had before does not stay."""


def _is_legal(key: str, value: str) -> bool:
    return bool(_KEY.fullmatch(key)) and not key.startswith(OWN) and 0 < len(value) <= LONGEST_VALUE


def _approval(approval: Approval) -> str:
    comment = f": {approval.comment}" if approval.comment else ""
    return f"{approved(approval)}{comment}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
