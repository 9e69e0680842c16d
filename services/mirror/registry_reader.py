"""Read what a target has to show from registry, approval and artifact, with the mirror's own key."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from services.mirror.settings import NEEDED, MirrorSettings
from services.mirror.targets.base import File, Refused, Unavailable
from services.mirror.wanted import AVAILABLE

CONNECT_SECONDS = 5.0
PAGE = 200
WAITS = (0.2, 1.0, 3.0)
"""Seconds before each repetition of a read that was not answered."""
BUSY = frozenset({429, 502, 503, 504})


class RegistryReader:
    """The other services, over one pool of connections."""

    def __init__(self, settings: MirrorSettings) -> None:
        self._urls = {name: settings.public_urls[name].rstrip("/") for name in NEEDED}
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.mirror_seconds, connect=CONNECT_SECONDS),
            headers={"authorization": f"Bearer {settings.mirror_api_key}", "user-agent": "regista-mirror"},
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def version(self, model_id: str, number: int) -> dict[str, Any] | None:
        """Return a version as the registry shows it, or None. Raises Unavailable and Refused."""
        path = f"/models/{quote(model_id)}/versions/{number}"
        found: dict[str, Any] | None = await self._get("registry", path)
        return found

    async def model(self, model_id: str) -> dict[str, Any]:
        """Return a model as the registry shows it. Raises Unavailable and Refused."""
        return await self._get("registry", f"/models/{quote(model_id)}") or {}

    async def reviews(self, version: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the reviews behind the promotions of a version that were carried out, oldest first."""
        promoted = [
            p for p in version["promotions"] if p["state"] in {"promoted", "spent"} and p["approvers"]
        ]
        promoted.sort(key=lambda promotion: str(promotion["requested_at"]))
        found = [await self._get("approval", f"/reviews/{quote(p['promotion_id'])}") for p in promoted]
        return [review for review in found if review is not None]

    async def files(self, version: Mapping[str, Any]) -> tuple[File, ...]:
        """Return the files of a version whose bytes may be loaded, none otherwise."""
        if version["artifact_state"] != AVAILABLE:
            return ()
        found = await self._get("artifact", f"/artifacts/{quote(version['artifact_digest'])}")
        return tuple(File(f["path"], f["size"], f["sha256"]) for f in found["files"]) if found else ()

    async def page_of_versions(self, stage: str, token: str) -> tuple[list[dict[str, Any]], str]:
        """Return versions in a stage, over all models, and the token of the next page ("" at the end)."""
        query = {"stage": stage, "page_size": str(PAGE)} | ({"page_token": token} if token else {})
        found = await self._get("registry", "/versions:search", query) or {"items": [], "next_page_token": ""}
        return found["items"], found["next_page_token"]

    async def bytes_of(self, digest: str, file: File) -> AsyncIterator[bytes]:
        """Yield the bytes of a file. Raises Unavailable when they end early or are not those registered."""
        url = f"{self._urls['artifact']}/v1/artifacts/{quote(digest)}/files/{quote(file.path)}"
        hashed, size = hashlib.sha256(), 0
        try:
            async with self._http.stream("GET", url, headers={"accept-encoding": "identity"}) as got:
                if not got.is_success:
                    await got.aread()
                    raise _failure("artifact", got)
                async for piece in got.aiter_bytes():
                    hashed.update(piece)
                    size += len(piece)
                    yield piece
        except httpx.TransportError as e:
            raise Unavailable(f"The bytes of {file.path} broke off ({type(e).__name__}).") from e
        if (size, hashed.hexdigest()) != (file.size, file.sha256):
            raise Unavailable(f"The bytes of {file.path} are not those that were registered.")

    async def _get(self, service: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an answer, None for 404."""
        for wait in (*WAITS, None):
            try:
                got = await self._http.get(f"{self._urls[service]}/v1{path}", params=query)
            except httpx.TransportError as e:
                if wait is None:
                    raise Unavailable(f"The service {service} does not answer ({type(e).__name__}).") from e
            else:
                if got.status_code == httpx.codes.NOT_FOUND:
                    return None
                if got.is_success:
                    return msgspec.json.decode(got.content)
                if got.status_code not in BUSY or wait is None:
                    raise _failure(service, got)
            await asyncio.sleep(wait)
        return None  # the last attempt has returned or raised


def _failure(service: str, got: httpx.Response) -> Exception:
    if got.status_code in {401, 403}:
        return Unavailable(
            f"The service {service} does not accept the mirror's API key ({got.status_code}): give"
            " service:mirror a live key and the role auditor everywhere."
        )
    if got.status_code in BUSY or got.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unavailable(f"The service {service} answers {got.status_code}.")
    return Refused(f"The service {service} answers {got.status_code}: its log has the reason.")


class VersionFiles:
    """The bytes of one version's artifact, for a target."""

    def __init__(self, reader: RegistryReader, digest: str, files: tuple[File, ...]) -> None:
        self._reader, self._digest = reader, digest
        self._files = {file.path: file for file in files}

    def read(self, path: str) -> AsyncIterator[bytes]:
        """Return the verified bytes of a file. See `Files`."""
        return self._reader.bytes_of(self._digest, self._files[path])
