"""The settings of a target: what every kind checks and reads in the same way."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.mirror.targets.base import Refused

S = TypeVar("S", bound=BaseModel)


def validated(cls: type[S], settings: Mapping[str, Any], what: str) -> S:
    """Return the settings of a target of this kind. Raises Refused, with the names of the wrong ones."""
    try:
        return cls.model_validate(dict(settings))
    except ValidationError as e:
        wrong = "; ".join(
            f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors(include_input=False)
        )
        raise Refused(f"The settings of the {what} target are wrong: {wrong}.") from e


def secret(file: str) -> str:
    """Return what a file contains; "" when none is named. Raises Refused."""
    if not file:
        return ""
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise Refused(f"The file {file} of the target's settings cannot be read ({type(e).__name__}).") from e


def trusted(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts a file's certificates, or the system's. Raises Refused."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as e:
        raise Refused(f"ca_file {ca_file} has no certificates that can be read.") from e
