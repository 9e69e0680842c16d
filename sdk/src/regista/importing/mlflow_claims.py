"""What MLflow states about a version: what of it ModelTrained has a field for, and the claims as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from regista.importing.claims import fitted, given, label, within_limits
from regista.importing.mlflow import tags_of
from regista.importing.source import Stated
from regista.importing.texts import bare, moment, shortened
from regista.wire import limits
from regista.wire.mlmodel import MLmodel

GIT_COMMIT, GIT_REPOSITORY = "mlflow.source.git.commit", "mlflow.source.git.repoURL"
CONTEXT = "mlflow.data.context"
TRAINING = frozenset({"train", "training"})
NO_STAGE = frozenset({"", "None"})


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that MLflow answers about one version. `run`, `logged` and `mlmodel` may be missing."""

    uri: str
    version: Mapping[str, Any]
    aliases: Sequence[str] = ()
    run: Mapping[str, Any] | None = None
    logged: Mapping[str, Any] | None = None
    mlmodel: MLmodel | None = None
    requirements: Sequence[str] = ()
    location: str = ""
    bytes_problem: str = ""


def stated_of(facts: Facts) -> Stated:
    """Return what is stated about a version, without its files."""
    facts = bare(facts)
    found = Stated(claims=_imported(facts), schema=facts.mlmodel.schema if facts.mlmodel else None)
    found.training = _training(facts, found.notes)
    if len(str(facts.version.get("description") or "")) > limits.CLAIM:
        found.notes.append(f"the description beyond {limits.CLAIM:,} characters")
    return found


def metadata_of(facts: Facts) -> dict[str, Any]:
    """Return `training` and `signature` of a version that is registered by who made it."""
    facts = bare(facts)
    schema = facts.mlmodel.schema if facts.mlmodel else None
    return fitted({"training": _training(facts, []), "signature": schema}, [])


def _training(facts: Facts, notes: list[str]) -> dict[str, Any]:
    run = facts.run or {}
    info, tags = run.get("info") or {}, tags_of(run.get("data") or {})
    datasets = _datasets(run)
    return given(
        {
            "config": _parameters(facts) or None,
            "code": given(
                {"revision": label(tags.get(GIT_COMMIT)), "repository": label(tags.get(GIT_REPOSITORY))}
            )
            or None,
            "dataset": _training_data(datasets),
            "metrics": _metrics(facts, notes),
            "trained_at": _trained_at(facts, info),
            "framework": facts.mlmodel.framework if facts.mlmodel else None,
            "environment": _environment(facts) or None,
            "run_url": _run_url(facts.uri, info),
        }
    )


def _trained_at(facts: Facts, info: Mapping[str, Any]) -> str | None:
    """Return when the run ended; of one that runs, when the model was logged, else when it began."""
    logged = facts.mlmodel.created if facts.mlmodel else ""
    return moment(info.get("end_time")) or logged or moment(info.get("start_time"))


def _parameters(facts: Facts) -> dict[str, str]:
    """Return the parameters of the run, and of the logged model where the run has none."""
    for holder in (facts.run, facts.logged):
        listed = ((holder or {}).get("data") or {}).get("params") or ()
        if listed:
            return {str(one["key"]): str(one.get("value", "")) for one in listed}
    return {}


def _datasets(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the data sets that a run has as inputs, with the context of each."""
    found = []
    for one in (run.get("inputs") or {}).get("dataset_inputs") or ():
        dataset = one.get("dataset") or {}
        kept = {name: dataset.get(name) for name in ("name", "digest", "source_type", "source")}
        found.append(given({**kept, "context": tags_of(one).get(CONTEXT)}))
    return found


def _training_data(datasets: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Return the data set that the run was trained on: the one of that context, or the only one."""
    training = [one for one in datasets if one.get("context") in TRAINING]
    chosen = training or (list(datasets) if len(datasets) == 1 and not datasets[0].get("context") else [])
    if len(chosen) != 1:
        return None
    name, digest = str(chosen[0].get("name") or ""), str(chosen[0].get("digest") or "")
    return given({"name": name[: limits.LABEL], "digest": _digest(digest) or None}) or None


def _digest(digest: str) -> str:
    """Return MLflow's digest of data, which is short and no SHA-256, under a name of its own."""
    return f"mlflow:{digest}"[: limits.LABEL] if digest else ""


def _metrics(facts: Facts, notes: list[str]) -> list[dict[str, Any]]:
    """Return the metrics of the run and of the logged model, each once. MLflow states no direction."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    odd = 0
    for holder in (facts.logged, facts.run):
        for metric in ((holder or {}).get("data") or {}).get("metrics") or ():
            name, value, digest = str(metric["key"]), metric.get("value"), metric.get("dataset_digest") or ""
            if not isinstance(value, int | float) or not math.isfinite(value) or len(name) > limits.NAME:
                odd += 1
                continue
            found[name, str(digest)] = {
                "name": name,
                "value": float(value),
                "dataset_digest": _digest(str(digest)),
                "dataset_name": str(metric.get("dataset_name") or "")[: limits.LABEL],
            }
    return within_limits(found.values(), odd, notes)


def _environment(facts: Facts) -> dict[str, Any]:
    mlmodel = facts.mlmodel or MLmodel()
    packages = dict(_requirement(line) for line in facts.requirements)
    return given({"python": mlmodel.python or None, "packages": packages or None})


def _requirement(line: str) -> tuple[str, str]:
    name, _, version = line.partition("==")
    return (name.strip(), version.strip()) if version else (line.strip(), "")


def _imported(facts: Facts) -> dict[str, Any]:
    version = facts.version
    stage = str(version.get("current_stage") or "")
    description = str(version.get("description") or "")
    return given(
        {
            "created_at": moment(version.get("creation_timestamp")),
            "created_by": label(_user(facts)),
            "stage": None if stage in NO_STAGE else stage[: limits.LABEL],
            "aliases": sorted(alias[: limits.LABEL] for alias in facts.aliases),
            "description": shortened(description, limits.CLAIM) or None,
            "tags": tags_of(version) or None,
            "details": _details(facts),
        }
    )


def _details(facts: Facts) -> dict[str, Any]:
    version, mlmodel, run = facts.version, facts.mlmodel or MLmodel(), facts.run or {}
    info, logged = run.get("info") or {}, (facts.logged or {}).get("info") or {}
    return given(
        {
            "source": version.get("source"),
            "artifact_uri": facts.location or None,
            "no_bytes_because": facts.bytes_problem or None,
            "status": version.get("status"),
            "updated_at": moment(version.get("last_updated_timestamp")),
            "run": _run(info, tags_of(run.get("data") or {}), version),
            "datasets": _datasets(run) or None,
            "logged_model": given({"id": logged.get("model_id"), "name": logged.get("name")}) or None,
            "flavors": dict(mlmodel.flavors) or None,
            "mlflow_version": mlmodel.mlflow or None,
            "no_schema_because": mlmodel.problem or None,
        }
    )


def _run(info: Mapping[str, Any], tags: Mapping[str, str], version: Mapping[str, Any]) -> Any:
    if not info:
        return given({"id": version.get("run_id") or None}) or None
    own = {name: value for name, value in tags.items() if name != "mlflow.log-model.history"}
    return given(
        {
            "id": info.get("run_id"),
            "name": info.get("run_name"),
            "experiment": info.get("experiment_id"),
            "user": info.get("user_id"),
            "status": info.get("status"),
            "started_at": moment(info.get("start_time")),
            "ended_at": moment(info.get("end_time")),
            "tags": own or None,
        }
    )


def _user(facts: Facts) -> str:
    """Return who made the version there: its user, else the run's."""
    info = (facts.run or {}).get("info") or {}
    return str(facts.version.get("user_id") or info.get("user_id") or "")


def _run_url(uri: str, info: Mapping[str, Any]) -> str | None:
    if not uri or not info.get("run_id"):
        return None
    parts = (quote(str(info.get(name, "")), safe="") for name in ("experiment_id", "run_id"))
    url = uri + "/#/experiments/{}/runs/{}".format(*parts)
    return url if len(url) <= limits.TEXT else None
