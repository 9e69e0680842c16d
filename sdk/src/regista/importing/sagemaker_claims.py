"""What SageMaker states about a package: what ModelTrained has a field for, and the claims as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from regista.importing.claims import given, label, within_limits
from regista.importing.source import Stated
from regista.importing.texts import bare, rfc3339, shortened
from regista.wire import limits

DEEPEST = 8
"""Levels of a metrics document."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known of one package.

    `job`: the training job that made its model, where one is known. `quality`: the metrics document of the
    model's quality, where it could be read. `bytes_problem`: why there are no bytes.
    """

    package: Mapping[str, Any]
    job: Mapping[str, Any] | None = None
    quality: Mapping[str, Any] = field(default_factory=dict)
    bytes_problem: str = ""


def stated_of(facts: Facts) -> Stated:
    """Return what is stated about a package, without its files.

    There is no schema in it: SageMaker has the media types of requests at most, not inputs and outputs.
    """
    facts = bare(facts)
    package, job = facts.package, facts.job or {}
    notes: list[str] = []
    description = str(package.get("ModelPackageDescription") or "")
    life_cycle = package.get("ModelLifeCycle") or {}
    approval = str(package.get("ModelApprovalStatus") or "")
    claims = given(
        {
            "created_at": moment_of(package.get("CreationTime")),
            "created_by": label(person_of(package.get("CreatedBy") or {})),
            "stage": label(life_cycle.get("Stage") or approval),
            "description": shortened(description, limits.CLAIM) or None,
            "tags": dict(package.get("CustomerMetadataProperties") or {}),
            "details": _details(facts),
        }
    )
    training = given(
        {
            "config": {str(k): str(v) for k, v in (job.get("HyperParameters") or {}).items()},
            "code": _code(package.get("MetadataProperties") or {}),
            "dataset": given({"name": label(_training_data(job))}),
            "metrics": _metrics(facts, notes),
            "trained_at": moment_of(job.get("TrainingEndTime")),
            "framework": _framework(containers_of(package)),
        }
    )
    return Stated(training, claims=claims, notes=notes)


def containers_of(package: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a package, in the order in which they run."""
    return list((package.get("InferenceSpecification") or {}).get("Containers") or ())


def person_of(user: Mapping[str, Any]) -> str:
    """Return who did something there: the user of Studio, else the identity of IAM."""
    identity = user.get("IamIdentity") or {}
    return str(user.get("UserProfileName") or identity.get("SourceIdentity") or identity.get("Arn") or "")


def moment_of(time: Any) -> str | None:
    """Return a time of boto3 in RFC 3339, None for what is none."""
    return rfc3339(time) if isinstance(time, datetime) else None


def _code(properties: Mapping[str, Any]) -> dict[str, Any]:
    return given(
        {
            "revision": label(properties.get("CommitId")),
            "repository": label(properties.get("Repository")),
        }
    )


def _training_data(job: Mapping[str, Any]) -> str:
    """Return where the data of the channel for training is, or "". There is no digest of it."""
    channels = {str(one.get("ChannelName")): one for one in job.get("InputDataConfig") or ()}
    chosen = channels.get("train") or channels.get("training")
    if chosen is None and len(channels) == 1:
        (chosen,) = channels.values()
    source = ((chosen or {}).get("DataSource") or {}).get("S3DataSource") or {}
    return str(source.get("S3Uri") or "")


def _framework(containers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    name = next((str(one["Framework"]) for one in containers if one.get("Framework")), "")
    version = next((str(one["FrameworkVersion"]) for one in containers if one.get("FrameworkVersion")), "")
    return {"name": name.lower()[: limits.NAME], "version": version[: limits.LABEL]} if name else None


def _metrics(facts: Facts, notes: list[str]) -> list[dict[str, Any]]:
    """Return the metrics of the model's quality and of its training job. SageMaker names no data set."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    odd = 0
    for name, value in _named(facts):
        if not _is_number(value) or not 0 < len(name) <= limits.NAME:
            odd += 1
        else:
            found.setdefault(
                (name, ""), {"name": name, "value": float(value), "dataset_digest": "", "dataset_name": ""}
            )
    return within_limits(found.values(), odd, notes)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _named(facts: Facts) -> Iterator[tuple[str, Any]]:
    yield from metrics_in(facts.quality)
    for one in (facts.job or {}).get("FinalMetricDataList") or ():
        yield str(one.get("MetricName") or ""), one.get("Value")


def metrics_in(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of a document of ModelQuality: every object that has a `value`.

    The kind of problem around them (`binary_classification_metrics`) is no part of the name.
    """
    stack: list[tuple[str, Any, int]] = [("", document, 0)]
    while stack:
        name, inner, depth = stack.pop()
        if not isinstance(inner, Mapping) or depth > DEEPEST:
            continue
        if "value" in inner:
            yield name, inner["value"]
            continue
        for key, value in sorted(inner.items(), reverse=True):
            below = str(key) if depth == 0 or not name or name.endswith("_metrics") else f"{name}.{key}"
            stack.append((below, value, depth + 1))


def _details(facts: Facts) -> dict[str, Any]:
    package, job = facts.package, facts.job or {}
    return given(
        {
            "arn": package.get("ModelPackageArn"),
            "status": package.get("ModelPackageStatus"),
            "approval": given(
                {
                    "status": package.get("ModelApprovalStatus"),
                    "description": package.get("ApprovalDescription"),
                }
            ),
            "life_cycle": given(dict(package.get("ModelLifeCycle") or {})),
            "updated_at": moment_of(package.get("LastModifiedTime")),
            "updated_by": person_of(package.get("LastModifiedBy") or {}) or None,
            "no_bytes_because": facts.bytes_problem or None,
            "containers": [_container(one) for one in containers_of(package)],
            "domain": package.get("Domain"),
            "task": package.get("Task"),
            "source": package.get("SourceUri"),
            "generated_by": (package.get("MetadataProperties") or {}).get("GeneratedBy"),
            "project": (package.get("MetadataProperties") or {}).get("ProjectId"),
            "metrics_documents": _documents(package.get("ModelMetrics") or {}),
            "training_job": _job(job),
        }
    )


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a container is made of. The values of its variables may be secret: only names are kept."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return given(
        {
            "image": container.get("Image"),
            "image_digest": container.get("ImageDigest"),
            "model_data": container.get("ModelDataUrl") or source.get("S3Uri"),
            "etag": container.get("ModelDataETag") or source.get("ETag"),
            "framework": container.get("Framework"),
            "framework_version": container.get("FrameworkVersion"),
            "variables": sorted(container.get("Environment") or ()),
        }
    )


def _documents(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return where the documents of ModelMetrics are, by their field."""
    return {
        f"{part}.{name}": str(document.get("S3Uri") or "")
        for part, inner in metrics.items()
        for name, document in (inner or {}).items()
    }


def _job(job: Mapping[str, Any]) -> dict[str, Any]:
    algorithm = job.get("AlgorithmSpecification") or {}
    return given(
        {
            "arn": job.get("TrainingJobArn"),
            "image": algorithm.get("TrainingImage"),
            "started_at": moment_of(job.get("TrainingStartTime")),
            "ended_at": moment_of(job.get("TrainingEndTime")),
            "data": {
                str(one.get("ChannelName")): str(
                    ((one.get("DataSource") or {}).get("S3DataSource") or {}).get("S3Uri") or ""
                )
                for one in job.get("InputDataConfig") or ()
            },
        }
    )
