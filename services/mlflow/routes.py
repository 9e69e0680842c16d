"""Which path does what, below `/api/2.0/` and `/ajax-api/2.0/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from services.mlflow import aliases, artifacts, models, versions
from services.mlflow.call import Call

Endpoint = Callable[[Call], Awaitable[Any]]
ROOTS = ("/api/2.0", "/ajax-api/2.0")
CREATE_VERSION = ("POST", "/mlflow/model-versions/create")
"""The request that must not be carried out twice: service.py passes it the repeats."""

REGISTRY: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/mlflow/registered-models/create", models.create),
    ("GET", "/mlflow/registered-models/get", models.read),
    ("PATCH", "/mlflow/registered-models/update", models.update),
    ("POST", "/mlflow/registered-models/rename", models.rename),
    ("DELETE", "/mlflow/registered-models/delete", models.delete),
    ("GET", "/mlflow/registered-models/search", models.search),
    ("POST", "/mlflow/registered-models/get-latest-versions", models.latest_versions),
    ("GET", "/mlflow/registered-models/get-latest-versions", models.latest_versions),
    ("POST", "/mlflow/registered-models/set-tag", models.set_tag),
    ("DELETE", "/mlflow/registered-models/delete-tag", models.delete_tag),
    ("POST", "/mlflow/registered-models/alias", aliases.set_alias),
    ("DELETE", "/mlflow/registered-models/alias", aliases.delete_alias),
    ("GET", "/mlflow/registered-models/alias", aliases.read_by_alias),
    ("GET", "/mlflow/model-versions/get", versions.read),
    ("PATCH", "/mlflow/model-versions/update", versions.update),
    ("DELETE", "/mlflow/model-versions/delete", versions.delete),
    ("GET", "/mlflow/model-versions/search", versions.search),
    ("GET", "/mlflow/model-versions/get-download-uri", versions.download_uri),
    ("POST", "/mlflow/model-versions/transition-stage", aliases.transition),
    ("POST", "/mlflow/model-versions/set-tag", versions.set_tag),
    ("DELETE", "/mlflow/model-versions/delete-tag", versions.delete_tag),
)

ARTIFACTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/mlflow-artifacts/artifacts", artifacts.listed),
    ("PUT", "/mlflow-artifacts/artifacts/{path:path}", artifacts.upload),
    ("GET", "/mlflow-artifacts/artifacts/{path:path}", artifacts.download),
    ("DELETE", "/mlflow-artifacts/artifacts/{path:path}", artifacts.delete),
    ("POST", "/mlflow-artifacts/mpu/{path:path}", artifacts.multipart),
    ("GET", "/mlflow-artifacts/presigned/{path:path}", artifacts.presigned),
)
STREAMS = frozenset({artifacts.upload, artifacts.download, artifacts.delete})
"""Their body and path are no fields."""
