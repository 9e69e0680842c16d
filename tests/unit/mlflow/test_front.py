"""The application while the services behind it are unreachable: paths, keys, probes, malformed requests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.datastructures import ImmutableMultiDict

from services.mlflow.errors import MlflowError
from services.mlflow.service import Front
from services.mlflow.settings import MlflowSettings
from services.mlflow.upstream import Upstream
from shared.foundation.settings import SettingsWrong

UNREACHABLE = {"registry": "http://127.0.0.1:9", "artifact": "http://127.0.0.1:9"}
SEARCH = "/api/2.0/mlflow/registered-models/search"
MODEL = "/api/2.0/mlflow/registered-models/get"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
KEY = {"authorization": "Bearer rg_a_b"}


@contextlib.asynccontextmanager
async def front(**settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application; the services are unreachable."""
    found = MlflowSettings(public_urls=UNREACHABLE, **settings)
    upstream = Upstream(found)
    transport = httpx.ASGITransport(Front(found, upstream).application())
    async with httpx.AsyncClient(transport=transport, base_url="http://front.example") as client:
        yield client
    await upstream.close()


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    """Requests are repeated without pauses."""
    monkeypatch.setattr("services.mlflow.upstream.WAITS", (0, 0))


@pytest.mark.parametrize(
    "path", ["/health", "/healthz", "/version", "/api/3.0/mlflow/server-info", "/metrics"]
)
async def test_what_the_server_states_of_itself_needs_no_key(path):
    async with front() as client:
        assert (await client.get(path)).status_code == 200


async def test_everything_is_below_the_prefix_and_probes_are_beside_it_too():
    async with front(mlflow_prefix="/mlflow/") as client:
        statuses = [
            (await client.get(path)).status_code
            for path in (f"/mlflow{SEARCH}", "/mlflow/health", "/healthz", SEARCH)
        ]
    assert statuses == [401, 200, 200, 404]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Digest x"},
        {"authorization": "Basic x"},
        {"authorization": "Bearer  "},
        {"authorization": "Basic OnNlY3JldCBrZXk="},
    ],
)
async def test_a_request_without_a_key_is_401_and_states_where_to_get_one(headers):
    async with front() as client:
        got = await client.get(SEARCH, headers=headers)
    assert (got.status_code, got.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert got.headers["www-authenticate"] == 'Basic realm="regista"'


async def test_an_unreachable_service_is_503_and_named_by_the_front():
    async with front() as client:
        got, ready = await client.get(SEARCH, headers=KEY), await client.get("/readyz")
    assert (got.status_code, got.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert (ready.status_code, sorted(ready.json()["reasons"])) == (200, ["artifact", "registry"])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'"[]"', "application/json"),
        (b'"{"', "application/json"),
        (b'{"name": "a"}', "text/plain"),
        (b'{"name": "a"}', ""),
        (b"{}", "application/json"),
        (b'{"name": {"a": 1}}', "application/json"),
        (b'{"name": "a\\u0000"}', "application/json"),
        (b'{"name": "a", "tags": "b"}', "application/json"),
        (b'{"name": "' + b"a" * 1_100_000 + b'"}', "application/json"),
    ],
)
async def test_a_malformed_body_is_400_with_mlflows_code(content, kind):
    async with front() as client:
        got = await client.post(
            "/api/2.0/mlflow/registered-models/create", content=content, headers=KEY | {"content-type": kind}
        )
    assert (got.status_code, got.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("query", "content", "name"),
    [
        ("?name=a%2Fb", b'{"name": "c:d"}', "a/b"),
        ("", b'{"name": "c:d"}', "c:d"),
        ("", b'"{\\"name\\": \\"c:d\\"}"', "c:d"),
    ],
)
async def test_the_fields_of_a_get_are_its_query_and_without_one_its_body(query, content, name):
    headers = KEY | {"content-type": "application/json; charset=utf-8"}
    async with front() as client:
        got = await client.request("GET", MODEL + query, content=content, headers=headers)
    assert (got.status_code, f"Invalid model name '{name}'" in got.text) == (400, True)


async def test_a_query_is_read_once_however_many_names_it_has(monkeypatch):
    monkeypatch.delattr(ImmutableMultiDict, "getlist")  # it reads the whole query for one name
    query = [(f"n{number}", "1") for number in range(100)]
    async with front() as client:
        got = await client.get(SEARCH, params=[*query, ("order_by", "x"), ("order_by", "y")], headers=KEY)
    assert (got.status_code, "Invalid order by key 'x'" in got.text) == (400, True)


LONG = "a" * 70_000


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{MODEL}?name=a{'%20' * 15_000}", {}),
        (f"{MODEL}?name=a", {"x-mlflow-workspace": LONG}),
        (f"{PROXY}/regista/{'0' * 64}/a", {"range": b"bytes=\xe9"}),
    ],
)
async def test_what_no_service_can_be_sent_is_refused_and_not_repeated(path, headers):
    async with front() as client:
        got = await client.get(path, headers=KEY | headers)
    assert (got.status_code, got.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("method", ["call", "upload", "download"])
async def test_an_address_that_is_too_long_is_refused(method):
    upstream = Upstream(MlflowSettings(public_urls=UNREACHABLE))
    sent = {
        "call": lambda: upstream.call("rg_a_b", "GET", f"/{LONG}"),
        "upload": lambda: upstream.upload("rg_a_b", {"name": LONG}, nothing(), ""),
        "download": lambda: upstream.download("rg_a_b", f"/{LONG}", {}),
    }[method]
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        await sent()
    await upstream.close()


async def nothing():
    """A body without bytes."""
    yield b""


async def test_a_path_of_tracking_is_404_and_names_the_tracking_server():
    async with front() as client:
        got = await client.post("/api/2.0/mlflow/runs/create", headers=KEY)
    assert (got.status_code, got.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert "keep your tracking server" in got.json()["message"]


def test_settings_that_name_no_registry_are_refused(monkeypatch):
    monkeypatch.setenv("REGISTA_PUBLIC_URLS", '{"artifact": "http://a"}')
    with pytest.raises(SettingsWrong, match="REGISTA_PUBLIC_URLS has no URL of registry"):
        MlflowSettings.read()


@pytest.mark.parametrize(("name", "value"), [("MLFLOW_PREFIX", "mlflow"), ("MLFLOW_URL", "host:1")])
def test_a_prefix_is_a_path_and_an_address_a_url(monkeypatch, name, value):
    monkeypatch.setenv(f"REGISTA_{name}", value)
    with pytest.raises(SettingsWrong, match=name):
        MlflowSettings.read()
