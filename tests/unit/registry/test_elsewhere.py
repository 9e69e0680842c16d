"""A caller that sends to the registry what another service serves reads where that is."""

from __future__ import annotations

import pytest

from services.registry.service import front_for_mlflow
from shared.foundation.settings import Settings
from shared.http.app import App


@pytest.mark.parametrize(
    ("urls", "named"),
    [
        ({"mlflow": "http://127.0.0.1:8007"}, "mlflow.set_registry_uri('http://127.0.0.1:8007')"),
        ({}, "ask its operators"),
    ],
)
def test_a_client_of_mlflow_reads_the_address_of_its_front(urls: dict[str, str], named: str) -> None:
    refusal = front_for_mlflow(App("registry", Settings(public_urls=urls)))
    assert (refusal.status, refusal.facts["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert named in str(refusal.facts["message"])
