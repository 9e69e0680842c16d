"""A model in a namespace where a caller has no role is answered like one that does not exist."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from services.registry.api import ROUTES
from tests.integration.registry.conftest import trained

pytestmark = pytest.mark.servers

MODEL_ROUTES = [(route.method, route.path.removeprefix("/v1")) for route in ROUTES if "{model}" in route.path]
REASON = {"reason": "because"}
BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/aliases/{alias}"): {"number": 1},
    ("POST", "/rollouts/{environment}"): {"entries": [{"number": 1, "percent": 100, "role": "champion"}]},
    ("POST", "/rollouts/{environment}:rollback"): REASON,
    ("PATCH", ""): {"description": "x"},
    ("POST", "/mlflow"): {"hidden": True},
    ("POST", "/mlflow/versions"): {"draft": True, "external": {"uri": "s3://models/1"}},
    ("PUT", "/mlflow/aliases/{alias}"): {"number": 1},
    ("POST", "/versions"): {"draft": True},
    ("PATCH", "/versions/{version}"): {"draft": True},
    ("POST", "/versions/{version}/notes"): {"text": "x"},
    ("PUT", "/versions/{version}/notes/{note}"): {"text": "x"},
    ("POST", "/versions/{version}/evaluations"): {
        "name": "accuracy",
        "value": 0.5,
        "dataset_digest": "sha256:x",
        "dataset_name": "holdout",
    },
}

NEW_NAMES = {("POST", "/models/{model}/versions"), ("GET", "/models/{model}/publisher")}
"""Routes that take new names. These need a role: 403, whether a model has the name or not."""
QUERIES: dict[str, dict[str, str]] = {"diff": {"from": "1", "to": "1"}}


async def ask_status(client: httpx.AsyncClient, method: str, path: str, model: str) -> tuple[int, str]:
    """Status and body of the answer, without the reference that was named."""
    rest = path.split("{model}")[1]
    parameters = {"version": "1", "alias": "live", "environment": "production", "note": "1"}
    url = path.replace("{model}", model)
    for name, value in parameters.items():
        url = url.replace(f"{{{name}}}", value)
    body = BODIES.get((method, rest), REASON if method == "POST" else None)
    query = QUERIES.get(rest.rpartition("/")[2], {})
    answer = await client.request(
        method, url, json=body, params=query, headers={"if-match": "*", "idempotency-key": str(uuid.uuid4())}
    )
    problem = answer.json()
    return answer.status_code, f"{problem.get('code')}: {problem.get('detail')}".replace(model, "MODEL")


async def test_no_route_reveals_whether_a_foreign_model_exists(registry):
    async with registry.client("stranger") as client:
        made = await client.post("/models/elsewhere.secret/versions", json=trained("elsewhere.secret"))
        model_id = (await client.get("/models/elsewhere.secret")).json()["model_id"]
        assert made.status_code == 201
    assert len(MODEL_ROUTES) > 20
    async with registry.client("ci") as client:
        names = ("elsewhere.secret", "elsewhere.nothing")
        for method, path in MODEL_ROUTES:
            by_name = [await ask_status(client, method, path, name) for name in names]
            by_id = [await ask_status(client, method, path, id_) for id_ in (model_id, str(uuid.uuid4()))]
            assert by_name[0] == by_name[1], f"{method} {path}"
            assert by_id[0] == by_id[1], f"{method} {path}"
            assert by_id[0][0] == 404, f"{method} {path}: {by_id[0]}"
            if (method, path) not in NEW_NAMES:
                assert by_name[0][0] == 404, f"{method} {path}: {by_name[0]}"
