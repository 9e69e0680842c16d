"""What Azure ML states about a version: what ModelTrained has a field for, and the claims as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from regista.importing import mlflow_claims
from regista.importing.claims import given, label
from regista.importing.source import Stated
from regista.importing.texts import bare, rfc3339, shortened
from regista.wire import limits
from regista.wire.mlmodel import MLmodel

COMMITS = ("azureml.git.commit", "mlflow.source.git.commit")
REPOSITORIES = ("azureml.git.repository_uri", "mlflow.source.git.repoURL")
DATA = frozenset({"uri_file", "uri_folder", "mltable"})
NO_STAGE = frozenset({"", "None"})


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that Azure answers about one version. `job`, `run` and `mlmodel` may be missing.

    `run` is the job's, as MLflow tracking has it.
    """

    uri: str
    version: Mapping[str, Any]
    job: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None
    mlmodel: MLmodel | None = None
    requirements: Sequence[str] = ()
    bytes_problem: str = ""


def stated_of(facts: Facts) -> Stated:
    """Return what is stated about a version, without its files."""
    facts = bare(facts)
    of_run = mlflow_claims.stated_of(
        mlflow_claims.Facts(
            facts.uri, {}, run=facts.run, mlmodel=facts.mlmodel, requirements=facts.requirements
        )
    )
    own, job = _properties(facts.version), _properties(facts.job)
    found = Stated(schema=of_run.schema, notes=of_run.notes)
    from_job = _training_of(job)
    found.training = {**from_job, **of_run.training}
    found.training.pop("run_url", None)  # that of MLflow's own pages
    studio = str(((job.get("services") or {}).get("Studio") or {}).get("endpoint") or "")
    if studio.startswith("https://") and len(studio) <= limits.TEXT:
        found.training["run_url"] = studio
    description = str(own.get("description") or "")
    if len(description) > limits.CLAIM:
        found.notes.append(f"the description beyond {limits.CLAIM:,} characters")
    stage = str(own.get("stage") or "")
    system = facts.version.get("systemData") or {}
    found.claims = given(
        {
            "created_at": moment(system.get("createdAt")),
            "created_by": label(system.get("createdBy")),
            "stage": None if stage in NO_STAGE else label(stage),
            "description": shortened(description, limits.CLAIM) or None,
            "tags": _texts(own.get("tags")) or None,
            "details": _details(facts, own, job, of_run.claims.get("details") or {}),
        }
    )
    return found


def _details(
    facts: Facts, own: Mapping[str, Any], job: Mapping[str, Any], of_run: Mapping[str, Any]
) -> dict[str, Any]:
    system = facts.version.get("systemData") or {}
    return given(
        {
            "resource": facts.version.get("id"),
            "model_uri": own.get("modelUri"),
            "model_type": own.get("modelType"),
            "no_bytes_because": facts.bytes_problem or None,
            "archived": True if own.get("isArchived") else None,
            "created_by_type": system.get("createdByType"),
            "updated_at": moment(system.get("lastModifiedAt")),
            "updated_by": label(system.get("lastModifiedBy")),
            "properties": _texts(own.get("properties")) or None,
            "flavors": own.get("flavors") or None,
            "job": _job(own, job) or None,
            "run": of_run.get("run"),
            "datasets": of_run.get("datasets"),
            "mlflow_version": of_run.get("mlflow_version"),
            "no_schema_because": of_run.get("no_schema_because"),
        }
    )


def _job(own: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    names = ("displayName", "experimentName", "jobType", "status", "environmentId", "codeId", "computeId")
    return given({"name": own.get("jobName"), **{name: job.get(name) for name in names}})


def _training_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job states about its training: literal inputs, the commit, the one input with data."""
    inputs = {str(name): one for name, one in (job.get("inputs") or {}).items() if isinstance(one, dict)}
    config = {name: str(one.get("value", "")) for name, one in inputs.items() if _kind(one) == "literal"}
    data = [(name, one) for name, one in inputs.items() if _kind(one) in DATA]
    stated = _texts(job.get("properties"))
    code = given({"revision": _first(stated, COMMITS), "repository": _first(stated, REPOSITORIES)})
    dataset = label(data[0][1].get("uri") or data[0][0]) if len(data) == 1 else None
    return given({"config": config, "code": code, "dataset": {"name": dataset} if dataset else None})


def _kind(input_: Mapping[str, Any]) -> str:
    return str(input_.get("jobInputType") or "").lower()


def _first(stated: Mapping[str, str], names: Sequence[str]) -> str | None:
    return label(next((stated[name] for name in names if stated.get(name)), None))


def _properties(resource: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = (resource or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def _texts(values: Any) -> dict[str, str]:
    """Return a dictionary of texts. Azure answers null for a tag without a value."""
    pairs = values.items() if isinstance(values, Mapping) else ()
    return {str(name): "" if value is None else str(value) for name, value in pairs}


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a model or version."""
    return _texts(_properties(resource).get("tags"))


def moment(text: Any) -> str | None:
    """Return a time in RFC 3339, None for what is none. Azure writes seven digits of a second."""
    try:
        return rfc3339(datetime.fromisoformat(str(text)))
    except ValueError:
        return None
