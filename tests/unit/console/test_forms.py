"""Where a form may come from, where a sign-in may lead to."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from services.console.forms import LARGEST, BadForm, from_own_page, local_path, read_form


def request(headers: dict[str, str], *chunks: bytes) -> Request:
    sent = iter(chunks or (b"",))

    async def receive() -> dict[str, object]:
        body = next(sent, None)
        return {"type": "http.request", "body": body or b"", "more_body": body is not None}

    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": encoded,
        "scheme": "http",
        "server": ("h", 1),
    }
    return Request(scope, receive)


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/a\nb",
        "/\t/evil.example",
        "/..\\evil",
        "evil",
        "",
    ],
)
def test_a_sign_in_never_leads_elsewhere(text: str) -> None:
    assert local_path(text) == "/"


@pytest.mark.parametrize("text", ["/", "/models/fraud.scoring?stage=Draft", "/reviews/018f?x=//y"])
def test_a_sign_in_leads_back_to_a_page_of_the_console(text: str) -> None:
    assert local_path(text) == text


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://console.example.evil", "https://console"]
)
def test_a_form_of_another_origin_is_not_of_an_own_page(origin: str) -> None:
    assert not from_own_page(request({"origin": origin, "host": "console"}), "")
    assert not from_own_page(request({"origin": origin, "host": "evil"}), "http://console")


def test_a_form_of_the_consoles_origin_is_of_an_own_page() -> None:
    assert from_own_page(request({"origin": "http://console", "host": "console"}), "")
    assert from_own_page(request({"origin": "https://console", "host": "inside:8000"}), "https://console")


async def test_a_form_keeps_every_value_of_a_field_in_order() -> None:
    form = await read_form(request(FORM, b"a=1&b=%C3%A9&a=", b"2&text=one%0D%0Atwo"))
    assert form == {"a": ["1", "2"], "b": ["é"], "text": ["one\ntwo"]}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"a=" + b"x" * LARGEST),
        (FORM, b"&".join(b"a=1" for _ in range(300))),
        (FORM, b"a=%ff"),
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--"),
    ],
)
async def test_what_is_no_form_or_too_large_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadForm):
        await read_form(request(headers, body))
