"""Client of the model registry Regista: publish models, load them by name, promote them.

with regista.capture(config={"C": 1.0}) as run: ...   # train, run.train_data(...), run.metric(...)
version = regista.publish("churn", "churn.onnx", run).wait()
session = regista.load("churn@production").session()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regista.client.async_client import AsyncClient
    from regista.client.functions import load, publish
    from regista.client.profile import Profile, read_profile
    from regista.client.publication import Publication
    from regista.client.sync_client import Client
    from regista.errors import Refused, RegistaError
    from regista.following.event import Event
    from regista.loading.loaded import Loaded
    from regista.publishing.publication import Registered
    from regista.publishing.tracking import Run, capture

__all__ = [
    "AsyncClient",
    "Client",
    "Event",
    "Loaded",
    "Profile",
    "Publication",
    "Refused",
    "RegistaError",
    "Registered",
    "Run",
    "capture",
    "load",
    "publish",
    "read_profile",
]
__version__ = "0.1.0"

# Imported when first used, so that `import regista.wire` and `regista --help` import nothing else.
_MODULES = {
    "AsyncClient": "client.async_client",
    "Client": "client.sync_client",
    "Event": "following.event",
    "Loaded": "loading.loaded",
    "Profile": "client.profile",
    "Publication": "client.publication",
    "Refused": "errors",
    "RegistaError": "errors",
    "Registered": "publishing.publication",
    "Run": "publishing.tracking",
    "capture": "publishing.tracking",
    "load": "client.functions",
    "publish": "client.functions",
    "read_profile": "client.profile",
    "track": "publishing.tracking",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'regista' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"regista.{_MODULES[name]}"), name)
    return value
