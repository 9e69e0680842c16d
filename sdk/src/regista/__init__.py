"""Regista's client: publish models, load them by name, govern them.

with regista.track(config={"C": 1.0}) as run: ...   # train, run.train_data(...), run.metric(...)
version = regista.publish("churn", "churn.onnx", run).wait()
session = regista.load("churn@production").session()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from regista.client.async_client import AsyncClient
    from regista.client.profile import Profile, read_profile
    from regista.client.sync_client import Client, Publication
    from regista.errors import Refused, RegistaError
    from regista.loading.loaded import Loaded
    from regista.publishing.publication import Registered
    from regista.publishing.tracking import Run, track

__all__ = [
    "AsyncClient",
    "Client",
    "Loaded",
    "Profile",
    "Publication",
    "Refused",
    "RegistaError",
    "Registered",
    "Run",
    "load",
    "publish",
    "read_profile",
    "track",
]
__version__ = "0.1.0"

# Imported when first named: `import regista.wire` and `regista --help` pay for nothing else.
_HOMES = {
    "AsyncClient": "client.async_client",
    "Client": "client.sync_client",
    "Loaded": "loading.loaded",
    "Profile": "client.profile",
    "Publication": "client.sync_client",
    "Refused": "errors",
    "RegistaError": "errors",
    "Registered": "publishing.publication",
    "Run": "publishing.tracking",
    "read_profile": "client.profile",
    "track": "publishing.tracking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regista' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"regista.{_HOMES[name]}"), name)
    return value


def publish(
    model: str, artifact: str | Path | None = None, run: Run | None = None, **facts: Any
) -> Publication:
    """Uploads the artifact and publishes ModelTrained; `.wait()` gives the registered version or raises Refused. See AsyncClient.publish."""
    from regista.client.sync_client import default  # noqa: PLC0415

    return default().publish(model, artifact, run, **facts)


def load(reference: str, **options: Any) -> Loaded:
    """The verified files of `model@production`, `model@alias`, `model@3` or `model@1.2.0`.

    See AsyncClient.load.
    """
    from regista.client.sync_client import default  # noqa: PLC0415

    return default().load(reference, **options)
