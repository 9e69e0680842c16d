"""Send requests to an issuer. Its answers become JSON objects, its failures errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec

from regista.client.profile import Profile
from regista.client.trust import certificate_error, not_trusted, trusted
from regista.errors import Unavailable

SECONDS = 15.0


class RefusedByIssuer(Exception):  # noqa: N818 - it is the answer
    """An error answer of an issuer: its `error` (RFC 6749) and description."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


@contextmanager
def connection(profile: Profile) -> Iterator[httpx.Client]:
    """Return a client that follows no redirects: what it sends are secrets."""
    with httpx.Client(
        headers={"User-Agent": "regista-python", "Accept": "application/json"},
        timeout=SECONDS,
        verify=trusted(profile.ca_file),
    ) as http:
        yield http


def document(http: httpx.Client, url: str, where: str) -> dict[str, Any]:
    """Return a JSON document. Raises Unavailable or NotConfigured."""
    got = _sent(http, http.build_request("GET", url), where)
    found = _object(got)
    if not got.is_success or found is None:
        raise Unavailable("no_document", f"{where} answered {got.status_code} for {url}, and no document")
    return found


def form(http: httpx.Client, url: str, fields: Mapping[str, str], issuer: str) -> dict[str, Any]:
    """Send a form to an endpoint of an issuer, and return its answer.

    Raises RefusedByIssuer for an error of the protocol, Unavailable for everything else.
    """
    where = f"the issuer {issuer}"
    got = _sent(http, http.build_request("POST", url, data=dict(fields)), where)
    found = _object(got)
    if got.is_success:
        return found or {}
    if found is not None and isinstance(found.get("error"), str) and got.is_client_error:
        raise RefusedByIssuer(found["error"], str(found.get("error_description") or ""))
    raise Unavailable("issuer_failed", f"{where} answered {got.status_code}")


def _sent(http: httpx.Client, request: httpx.Request, where: str) -> httpx.Response:
    try:
        return http.send(request)
    except httpx.TransportError as e:
        if untrusted := certificate_error(e):
            raise not_trusted(where, untrusted) from e
        raise Unavailable("unreachable", f"{where} did not answer ({type(e).__name__})") from e


def _object(got: httpx.Response) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(got.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None
