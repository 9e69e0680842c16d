"""Errors as MLflow's clients know them: a code, a message, and the HTTP status of the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATUS = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}
"""Clients repeat 429 and 503 for minutes, and 500 too: a refusal has none of them."""
_OF_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    410: "RESOURCE_DOES_NOT_EXIST",
    412: "RESOURCE_CONFLICT",
    429: "RESOURCE_EXHAUSTED",
}


class MlflowError(Exception):
    """The answer to a request that is refused or fails."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status or STATUS[code]


class Problem(MlflowError):  # noqa: N818 - it is an answer, as in shared/http/problems.py
    """What another service answered. `problem` is its code, `facts` the other fields of the answer."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.problem = str(document.get("code") or f"http_{status}")
        self.facts = document
        detail = str(document.get("detail") or document.get("title") or f"the service answered {status}")
        code = _OF_STATUS.get(
            status, "INVALID_PARAMETER_VALUE" if status < 500 else "TEMPORARILY_UNAVAILABLE"
        )
        super().__init__(code, detail)


def invalid(message: str) -> MlflowError:
    return MlflowError("INVALID_PARAMETER_VALUE", message)


def conflict(message: str) -> MlflowError:
    return MlflowError("RESOURCE_CONFLICT", message)


def no_model(name: str, more: str = "") -> MlflowError:
    return MlflowError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found{more}")


def no_version(name: str, version: object, more: str = "") -> MlflowError:
    return MlflowError(
        "RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version={version}) not found{more}"
    )
