"""Versions of a search as JSON in MLflow's form: each made once, and again when anything of it is another."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from services.mlflow import entities
from services.mlflow.call import Call, ReadFiles
from services.mlflow.callers import Callers
from services.mlflow.settings import MlflowSettings
from services.mlflow.upstream import Upstream
from shared.foundation.bounded_cache import BoundedCache

MODEL_VERSION: dict[str, Any] = {
    "model_id": "m",
    "model": "crm.churn",
    "namespace": "crm",
    "mode": "governed",
    "number": 3,
    "semver": "1.0.0",
    "stage": "Validated",
    "label": "Staging",
    "description": None,
    "tags": {"task": "churn"},
    "creator": None,
    "registered_at": "2026-11-30T12:00:00+00:00",
    "registered_by": "ci",
    "changed_at": "2026-11-30T12:00:01+00:00",
    "artifact_digest": "sha256:" + "0" * 64,
    "artifact_state": "verified",
    "artifact_detail": None,
    "missing": None,
    "reasons": None,
    "external": None,
    "withdrawn": None,
    "gates_passed": True,
    "hidden": False,
    "aliases": ["candidate"],
    "environments": [],
    "label_aliases": [],
    "open_promotions": [],
}
Calling = Callable[..., Call]


@pytest.fixture
async def calling() -> AsyncIterator[Calling]:
    """Calls of one front, from a workspace and at an address."""
    settings = MlflowSettings(public_urls=dict.fromkeys(("registry", "artifact"), "http://127.0.0.1:9"))
    async with contextlib.AsyncExitStack() as stack:
        upstream = Upstream(settings)
        stack.push_async_callback(upstream.close)
        documents: BoundedCache[Any, msgspec.Raw] = BoundedCache(1_000_000)

        def call(workspace: str = "", host: str = "one.example") -> Call:
            scope = {"type": "http", "scheme": "http", "path": "/", "query_string": b"", "method": "GET"}
            request = Request(scope | {"headers": [(b"host", host.encode())]})
            callers = Callers(upstream)
            return Call(request, upstream, settings, "rg_a_b", workspace, ReadFiles(), callers, documents)

        yield call


def row(**changed: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(MODEL_VERSION | changed))


def decoded(call: Call, *rows: msgspec.Raw) -> list[dict[str, Any]]:
    return [msgspec.json.decode(bytes(one)) for one in entities.encoded(call, rows)]


async def test_a_version_of_a_search_is_the_one_that_is_read_alone(calling):
    call = calling()
    assert decoded(call, row()) == [entities.version(call, MODEL_VERSION)]


async def test_a_version_that_is_the_same_is_made_once(calling):
    first, second = (entities.encoded(calling(), [row()])[0] for _ in range(2))
    assert first is second


async def test_what_a_version_is_made_from_decides_what_is_answered(calling):
    (first,) = decoded(calling(), row())
    changed, tagged = decoded(calling(), row(stage="Archived"), row(tags={}))
    (in_workspace,) = decoded(calling("crm"), row())
    (elsewhere,) = decoded(calling(host="two.example"), row())
    assert {one["key"]: one["value"] for one in changed["tags"]}["regista.stage"] == "Archived"
    assert "task" not in {one["key"] for one in tagged["tags"]}
    assert (first["name"], in_workspace["name"]) == ("crm.churn", "churn")
    assert [one["source"][:18] for one in (first, elsewhere)] == ["http://one.example", "http://two.example"]
    assert decoded(calling(), row()) == [first]
