"""Build the OpenAPI document of each service, from its route table and the kernel's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.approval.api import ROUTES as APPROVAL
from services.artifact.service import process as artifact
from services.artifact.settings import ArtifactSettings
from services.audit.api import ROUTES as AUDIT
from services.cleanup.api import ROUTES as CLEANUP
from services.mirror.api import ROUTES as MIRROR
from services.registry.api import ROUTES as REGISTRY
from shared.http.app import App
from shared.http.openapi import document
from shared.http.operations import OPERATIONS


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (service, OpenAPI 3.1 document)."""
    uploads = artifact(App("artifact", ArtifactSettings(artifact_dir="unused"))).routes
    for service, routes in {
        "registry": REGISTRY,
        "approval": APPROVAL,
        "artifact": uploads,
        "cleanup": CLEANUP,
        "audit": AUDIT,
        "mirror": MIRROR,
    }.items():
        yield service, document(service, [*routes, *OPERATIONS])
