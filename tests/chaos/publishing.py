"""What pipelines of chaos tests publish."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.errors import RegistaError
from regista.wire.keys import generate_signing_key
from services.local.instance import Instance
from services.local.kafka import SECURITY

NAMESPACE = "chaos"


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 120.0) -> None:
    """Repeat until it holds; services and servers may be unavailable meanwhile."""
    last: Exception | None = None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if await condition():
                return
        except (httpx.HTTPError, RegistaError, OSError, asyncpg.PostgresError) as error:
            last = error
        await asyncio.sleep(0.2)
    raise AssertionError(f"{what} within {seconds:g} s; the last error: {last!r}")


def document(model: str, number: int, artifact: dict[str, Any]) -> dict[str, Any]:
    """Return ModelTrained's data; each number has a data set of its own."""
    dataset = "sha256:" + hashlib.sha256(f"{model}/{number}".encode()).hexdigest()
    return {
        "model": model,
        "artifact": artifact,
        "training": {
            "config": {"depth": 3},
            "code": {"revision": "a" * 40},
            "dataset": {"name": "d", "digest": dataset},
            "features": ["x"],
            "framework": {"name": "scikit-learn", "version": "1"},
            "environment": {},
            "trained_at": "2026-03-01T12:00:00Z",
            "creator": "ann",
            "metrics": [
                {
                    "name": "accuracy",
                    "value": 0.9,
                    "dataset_digest": "sha256:" + "0" * 64,
                    "dataset_name": "holdout",
                    "primary": True,
                }
            ],
        },
        "signature": {
            "inputs": [{"name": "x", "type": "float32"}],
            "outputs": [{"name": "y", "type": "int64"}],
        },
        "parents": [],
    }


def artifact_file(folder: Path, model: str, number: int) -> Path:
    """Write the artifact of a version."""
    file = folder / f"{model}-{number}.onnx"
    file.write_bytes(f"{model} {number}".encode() * 100)
    return file


async def pipeline(instance: Instance, admin: AsyncClient, folder: Path) -> AsyncClient:
    """A publisher with a key of its own."""
    key = generate_signing_key("chaos-pipeline")
    await admin.create_identity(key.subject, "publisher", "chaos")
    await admin.grant(key.subject, "publisher", NAMESPACE)
    await admin.issue_key(key.subject, key_id=key.key_id, public_key=key.public.hex())
    issued = await admin.issue_key(key.subject)
    key.save(folder / "key.json")
    kafka = instance.stack.kafka
    return AsyncClient(
        Profile(
            url=instance.urls["registry"],
            api_key=str(issued["api_key"]),
            key_file=str(folder / "key.json"),
            kafka_bootstrap=kafka.bootstrap,
            kafka_user="pipeline",
            kafka_password=kafka.password("pipeline"),
            kafka_security=SECURITY,
        )
    )


async def person(instance: Instance, admin: AsyncClient, *roles: str) -> AsyncClient:
    """A person with these roles in the namespace."""
    made = await admin.create_identity(None, "person", " ".join(["Chaos", *roles]))
    for role in roles:
        await admin.grant(made["subject"], role, NAMESPACE)
    issued = await admin.issue_key(made["subject"])
    return AsyncClient(Profile(url=instance.urls["registry"], api_key=str(issued["api_key"])))
