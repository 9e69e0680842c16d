"""A browser for tests: opens an address of Keycloak and fills its forms as a person would.

`python browser.py ADDRESS`; the person and the file of the password are in SIGN_IN_AS and PASSWORD_FILE.
"""

from __future__ import annotations

import os
import sys
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, build_opener

PAGES = 10


class Form(HTMLParser):
    """The first form of a page: its address, and the values of its inputs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.values: dict[str, str] = {}
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action, self._inside = found.get("action", ""), True
        elif tag in {"input", "button"} and self._inside and found.get("name"):
            self.values[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def signed_in(address: str, person: str, password: str) -> str:
    """Follow the pages to the last one, and return it."""
    # as browsers do on loopback, send secure cookies over plain HTTP
    cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
    opener = build_opener(HTTPCookieProcessor(cookies))
    url, data = address, None
    for _ in range(PAGES):
        with opener.open(url, data, timeout=30) as answer:
            page, url = answer.read().decode(), answer.url
        form = Form(page)
        if form.action is None:
            return page
        filled = form.values
        if "password" in filled:
            filled |= {"username": person, "password": password}
        filled.pop("cancel", None)
        url, data = urljoin(url, form.action), urlencode(filled).encode()
    raise AssertionError(f"no end after {PAGES} pages: {url}")


if __name__ == "__main__":
    secret = Path(os.environ["PASSWORD_FILE"]).read_text().strip()
    signed_in(sys.argv[1], os.environ["SIGN_IN_AS"], secret)
