"""Models and versions of Regista in the form of MLflow's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from services.mlflow import uploads
from services.mlflow.call import Call

READY, PENDING, FAILED = "READY", "PENDING_REGISTRATION", "FAILED_REGISTRATION"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
VERIFIED = "regista"
"""The first part of the path of verified files in the artifact proxy: `regista/<sha256>/<path>`."""
CHAMPION = "champion"
Json = Mapping[str, Any]


def model(call: Call, row: Json) -> dict[str, Any]:
    """Return a registered model. `row` is the registry's answer."""
    return {
        "name": call.inner(row["model"]),
        "creation_timestamp": millis(row["registered_at"]),
        "last_updated_timestamp": millis(row["changed_at"]),
        **_unless_empty(description=row["description"]),
        "latest_versions": [version(call, one) for one in row["newest"]],
        "tags": _pairs(row["tags"]),
        "aliases": [{"alias": name, "version": str(n)} for name, n in sorted(aliases_of(row).items())],
    }


def aliases_of(row: Json) -> dict[str, int]:
    """Return the aliases of a model: labels, or Regista's aliases and the champions of environments."""
    if row["mode"] == "labels":
        return dict(row["label_aliases"])
    champions: dict[str, int] = dict(row["environments"])
    virtual = {CHAMPION: champions["production"]} if "production" in champions else {}
    return virtual | dict(row["aliases"]) | champions


def version(call: Call, row: Json) -> dict[str, Any]:
    """Return a model version. `row` is the registry's answer."""
    external = row["external"] or {}
    status, message = status_of(row)
    return {
        "name": call.inner(row["model"]),
        "version": str(row["number"]),
        "creation_timestamp": millis(row["registered_at"]),
        "last_updated_timestamp": millis(row["changed_at"]),
        "description": row["description"] or "",
        "user_id": row["creator"] or row["registered_by"],
        "current_stage": row["label"],
        "source": external.get("uri") or verified_uri(call, row),
        "run_id": external.get("run_id", ""),
        "run_link": external.get("run_link", ""),
        "status": status,
        **_unless_empty(status_message=message),
        "tags": _pairs({**(row["tags"] or {}), **_tags_of_regista(row)}),
        "aliases": _version_aliases(row),
    }


def encoded(call: Call, rows: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """Return model versions as JSON. `rows` are the registry's answers, not decoded."""
    view = (call.workspace, call.base_url)
    return [_encoded(call, (bytes(row), *view)) for row in rows]


def _encoded(call: Call, key: tuple[bytes, str, str]) -> msgspec.Raw:
    if (kept := call.documents.get(key)) is not None:
        return kept
    made = msgspec.Raw(msgspec.json.encode(version(call, msgspec.json.decode(key[0]))))
    call.documents.put(key, made, len(key[0]) + len(bytes(made)))
    return made


def _version_aliases(row: Json) -> list[str]:
    if row["mode"] == "labels":
        return list(row["label_aliases"])
    champion = [CHAMPION] if "production" in row["environments"] else []
    return sorted({*row["aliases"], *row["environments"], *champion})


def status_of(row: Json) -> tuple[str, str]:
    """Return MLflow's status of a version, and a message that states what Regista has of it."""
    state, detail = row["artifact_state"], row["artifact_detail"]
    if state in {"mismatched", "quarantined"}:
        return FAILED, f"The bytes are {state}: {detail or 'register the version again'}"
    if row["artifact_digest"] and state is None:
        return PENDING, "The bytes are being verified"
    if row["withdrawn"]:
        return READY, f"Withdrawn: {row['withdrawn']}"
    if row["stage"] == "Rejected":
        return READY, f"Rejected: {'; '.join(row['reasons'] or ())}"
    if missing := row["missing"]:
        name = f"{row['model']}@{row['number']}"
        return READY, (
            f"A draft in Regista, which lacks {', '.join(missing)}. Complete it with "
            f"`regista versions complete {name}`"
        )
    return READY, ""


def _tags_of_regista(row: Json) -> dict[str, str]:
    """Return what Regista decided, as tags. In the mode `labels` versions have no tags but their own."""
    if row["mode"] == "labels":
        return {}
    passed = {True: "passed", False: "blocked"}.get(row["gates_passed"], "")
    found = {
        "regista.stage": row["stage"],
        "regista.version": row["semver"] or "",
        "regista.gates": passed,
        "regista.missing": ", ".join(row["missing"] or ()),
        "regista.digest": row["artifact_digest"] or "",
        "regista.review": ", ".join(row["open_promotions"]),
        "regista.serves": ", ".join(row["environments"]),
        "regista.withdrawn": row["withdrawn"] or "",
    }
    return {key: value for key, value in found.items() if value}


def verified_uri(call: Call, row: Json) -> str:
    """Return the URI of the version's files in the artifact proxy, "" without files."""
    if not (digest := row["artifact_digest"]):
        return ""
    location = uploads.location_of_source(row["external"]) if row["external"] else None
    folder = f"/{quote(location.path)}" if location and location.path else ""
    return f"{call.base_url}{ARTIFACTS}/{VERIFIED}/{digest.partition(':')[2]}{folder}"


def millis(moment: str) -> int:
    """Return a time of the registry in milliseconds since 1970."""
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _pairs(tags: Json) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _unless_empty(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
