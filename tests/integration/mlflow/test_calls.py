"""What a request of a client costs behind the front: one call of the registry, counted by its own metrics."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.integration.mlflow.conftest import MlflowClient
from tests.integration.sdk.conftest import House

pytestmark = pytest.mark.servers

_COUNT = re.compile(r'regista_http_seconds_count\{.*route="/v1/(?:models|mlflow)[^"]*".*\} ([\d.]+)')
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "create": ("POST", "model-versions/create", {"source": "s3://b/a", "tags": []}),
    "get": ("GET", "model-versions/get", {"version": "1"}),
    "alias": ("GET", "registered-models/alias", {"alias": "candidate"}),
    "model": ("GET", "registered-models/get", {}),
    "search": ("GET", "model-versions/search", {"max_results": "10"}),
    "tag": ("POST", "model-versions/set-tag", {"version": "1", "key": "a", "value": "b"}),
    "description": ("PATCH", "model-versions/update", {"version": "1", "description": "new"}),
}


@pytest.fixture(scope="module")
def model(mlflow: MlflowClient) -> str:
    """A model in the mode labels, with a version that has an alias."""
    mlflow(
        """
        client.create_registered_model("lab.calls")
        client.create_model_version("lab.calls", "s3://b/first")
        client.set_registered_model_alias("lab.calls", "candidate", 1)
        """
    )
    return "lab.calls"


def calls(house: House) -> float:
    """How many requests about models the registry has answered."""
    return sum(float(n) for n in _COUNT.findall(httpx.get(house.instance.urls["registry"] + "/metrics").text))


@pytest.mark.parametrize("named", REQUESTS)
def test_a_request_is_one_call_of_the_registry(house: House, model: str, named: str) -> None:
    method, path, fields = REQUESTS[named]
    fields = {"name": model} | fields if named != "search" else fields
    before = calls(house)
    answer = httpx.request(
        method,
        f"{house.instance.urls['mlflow']}/api/2.0/mlflow/{path}",
        headers={"authorization": f"Bearer {house.people['eng'].api_key}"},
        **{"params" if method == "GET" else "json": fields},
    )
    assert (answer.status_code, calls(house) - before) == (200, 1)
