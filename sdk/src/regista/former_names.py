"""Names that calls had before: they work, and warn (DeprecationWarning)."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def former(name: str, method: Callable[P, T]) -> Callable[P, T]:
    """Return the method as it is called by its former name."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        warn_of(name, method.__name__)
        return method(*args, **kwargs)

    return call


def warn_of(name: str, present: str) -> None:
    """Warn the caller of the caller that it uses a former name."""
    warnings.warn(f"{name} is called {present} now", DeprecationWarning, stacklevel=3)
