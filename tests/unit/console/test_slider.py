"""The slider of a page of the past: where it begins and ends, where it stands, and which moments it has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.console.plain_words import happened
from services.console.slider import slider_of
from tests.unit.console.console_at import URL, at, sign_in

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
THEN = "2026-03-01T12:00:00Z"


def moment(time: str, **more: Any) -> dict[str, Any]:
    return {"at": time, "type": "VersionPromoted", "by": "ann", "number": 7, "environment": None} | more


FOUND: dict[str, Any] = {
    "items": [
        moment("2026-02-01T00:00:00.25Z", type="ModelRegistered", number=None),
        moment("2026-03-01T12:00:00Z"),
        moment("2026-03-01T12:00:00.5Z", type="RolledBack"),
        moment("2026-03-01T12:00:00.75Z", type="VersionArchived"),
    ],
    "before": None,
    "after": None,
    "complete": True,
}


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def test_a_slider_reaches_from_the_first_moment_to_now() -> None:
    found = slider_of(FOUND, THEN, "fraud.scoring", (), NOW)
    assert found.first == seconds("2026-02-01T00:00:01Z")
    assert found.last == seconds("2026-03-10T11:59:55Z")
    assert found.at == seconds(THEN)


def test_a_tick_is_the_first_second_at_which_everything_of_it_has_happened() -> None:
    found = slider_of(FOUND, THEN, "fraud.scoring", (), NOW)
    of_second = {second: one["type"] for second, one in found.moments}
    assert of_second[seconds(THEN)] == "VersionPromoted"
    assert of_second[seconds("2026-03-01T12:00:01Z")] == "VersionArchived"


@pytest.mark.parametrize(
    ("as_of", "second"),
    [
        ("", "2026-03-10T11:59:55Z"),
        ("2025-01-01T00:00:00Z", "2026-02-01T00:00:01Z"),
        ("2026-03-01T12:00:00.75Z", "2026-03-01T12:00:01Z"),
    ],
)
def test_a_slider_stands_at_the_moment_and_never_outside(as_of: str, second: str) -> None:
    assert slider_of(FOUND, as_of, "", (), NOW).at == seconds(second)


def test_a_span_without_moments_is_a_point() -> None:
    found = slider_of(FOUND | {"items": []}, "", "", (), NOW)
    assert (found.first, found.last, found.step) == (found.at, found.at, 1)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (moment(THEN, environment="production"), "Promoted #7 in production"),
        (moment(THEN, model="fraud.scoring"), "Promoted fraud.scoring #7"),
        (moment(THEN, type="RolledBack", model="a.b", number=None), "a.b: rolled back"),
        (moment(THEN, type="IdentityLinked", number=None), "Linked two identities"),
    ],
)
def test_a_moment_is_stated_in_words(of: dict[str, Any], words: str) -> None:
    assert happened(of) == words


async def test_seconds_of_a_slider_become_an_address_that_states_the_time() -> None:
    console, browser = at(lambda _: httpx.Response(404, json={"code": "unknown", "detail": "None."}))
    async with console.http, browser:
        sign_in(console, browser)
        answer = await browser.get(f"{URL}/history?what=denials&as_of={seconds(THEN)}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/history?what=denials&as_of=2026-03-01T12%3A00%3A00Z"


async def test_the_form_of_a_slider_keeps_the_filters_and_shows_each_moment() -> None:
    def services(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models/fraud.scoring/moments":
            assert request.url.params["at"] == THEN
            return httpx.Response(200, json=FOUND | {"before": FOUND["items"][0]})
        return httpx.Response(200, json={"items": [], "next_page_token": ""})

    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        page = await browser.get(f"{URL}/history?what=denials&model=fraud.scoring&page=x&as_of={THEN}")
    assert page.status_code == 200
    form = page.text.split('class="slider"')[1].split("</form>")[0]
    assert 'name="what" value="denials"' in form
    assert 'name="page"' not in form
    assert form.count("<option ") == 3
    assert 'rel="prev" href="/history?what=denials&amp;model=fraud.scoring&amp;as_of=2026-02-01' in form
    assert "Nothing happened since." in form


@pytest.mark.parametrize("readable", [True, False])
async def test_a_page_of_the_log_has_a_slider_for_who_may_read_its_moments(*, readable: bool) -> None:
    def services(request: httpx.Request) -> httpx.Response:
        if (request.url.host, request.url.path) == ("audit.example", "/v1/moments"):
            refused = httpx.Response(403, json={"code": "role_missing", "detail": "No.", "status": 403})
            return httpx.Response(200, json=FOUND) if readable else refused
        return httpx.Response(200, json={"items": [], "next_page_token": ""})

    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        page = await browser.get(f"{URL}/history?as_of={THEN}")
    assert page.status_code == 200
    assert ("Moments of the log" in page.text) is readable
    assert ('type="range"' in page.text) is readable
