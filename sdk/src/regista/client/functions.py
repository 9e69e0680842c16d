"""`regista.publish` and `regista.load`: calls of the client that is made from the environment.

Beside this file, `functions.pyi` declares them for editors and type checkers; `python -m tools.contracts`
writes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from regista.client.sync_client import Client, default


def _of_default(name: str) -> Callable[..., Any]:
    method = getattr(Client, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        return method(default(), *args, **kwargs)

    update_wrapper(call, method)
    _, *others = inspect.signature(method).parameters.values()
    call.__signature__ = inspect.signature(method).replace(parameters=others)  # type: ignore[attr-defined]
    return call


publish = _of_default("publish")
load = _of_default("load")
