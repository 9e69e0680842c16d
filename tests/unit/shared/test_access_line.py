"""Each request leaves one line: who, what, what came of it; and nothing that the caller chose."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from shared.foundation.settings import Settings
from shared.foundation.telemetry import JsonFormatter
from shared.http.app import App
from shared.http.dispatch import Application
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route

SECRET = "rg_7K2M_veryverysecret"


async def answer(call: Call) -> Reply:
    if call.path["name"] == "no":
        raise Problem(409, "not_today", "A rule forbids it.")
    if call.path["name"] == "fault":
        raise ZeroDivisionError
    return Reply({"done": True})


ROUTES = [
    Route("GET", "/v1/things/{name}", answer, "A thing", public=True),
    Route("GET", "/v1/private/{name}", answer, "A private thing"),
]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    """Return the access lines so far, as they are written."""
    caplog.set_level(logging.INFO, "regista.access")
    formatter = JsonFormatter("toy")
    return lambda: [formatter.format(r) for r in caplog.records if r.name == "regista.access"]


async def send(path: str, method: str = "GET", **headers: str) -> int:
    app = App("toy", Settings())
    transport = httpx.ASGITransport(Application(app, ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://toy") as client:
        return (await client.request(method, path, headers=headers)).status_code


@pytest.mark.parametrize(
    ("path", "method", "route", "status", "code"),
    [
        ("/v1/things/a", "GET", "/v1/things/{name}", 200, ""),
        ("/v1/things/a", "HEAD", "/v1/things/{name}", 200, ""),
        ("/v1/things/no", "GET", "/v1/things/{name}", 409, "not_today"),
        ("/v1/things/fault", "GET", "/v1/things/{name}", 500, "internal_error"),
        ("/v1/private/a", "GET", "/v1/private/{name}", 503, "starting"),
        ("/v1/nothing", "GET", "", 404, "no_such_route"),
        ("/v1/things/a", "DELETE", "", 405, "method_not_allowed"),
        ("/v1/things/a%00b", "GET", "", 400, "nul_character"),
    ],
)
async def test_one_line_with_route_status_and_code(lines, path, method, route, status, code) -> None:
    assert await send(path, method) == status
    (line,) = [json.loads(line) for line in lines()]
    assert (line["method"], line["route"], line["status"], line["code"]) == (method, route, status, code)
    assert (line["subject"], line["service"]) == ("", "toy")
    assert line["milliseconds"] >= 0


async def test_a_path_of_another_server_is_answered_with_where_that_is() -> None:
    def refusal(app: App) -> Problem:
        return Problem(404, "elsewhere", f"This is {app.name}.")

    application = Application(App("toy", Settings()), ROUTES, {"/api/other": refusal})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://toy") as client:
        answers = [await client.post(path) for path in ("/api/other/things", "/api/another", "/v1/things/a")]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [
        (404, "elsewhere"),
        (404, "no_such_route"),
        (405, "method_not_allowed"),
    ]


async def test_the_trace_of_the_caller_is_in_the_line_or_a_new_one(lines) -> None:
    await send("/v1/things/a", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await send("/v1/things/a")
    first, second = (json.loads(line)["trace"] for line in lines())
    assert first == "0af7651916cd43dd8448eb211c80319c"
    assert len(second) == 32


@pytest.mark.parametrize(
    "hostile", ["%1b]0;pwned%07", "%0d%0aforged: line", "%e2%80%aeevil", "%c2%9b31m", '"}{"forged":1}']
)
async def test_nothing_that_the_caller_chose_is_in_the_line(lines, hostile) -> None:
    await send(f"/v1/things/{hostile}?q={hostile}", authorization=f"Bearer {SECRET}")
    await send(f"/elsewhere/{hostile}", method="BREW", authorization=f"Bearer {SECRET}")
    for line in lines():
        assert all(32 <= ord(character) < 127 for character in line), line
        for word in ("pwned", "forged", "evil", "secret", "BREW"):
            assert word not in line
    assert len(lines()) == 2
