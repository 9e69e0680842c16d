"""Serve the console's own files and the front-end packages, each with the digest that its page names."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from services.console.rendering import STATIC

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
FILES: Mapping[str, str] = {"htmx.js": "node_modules/htmx.org/dist/htmx.min.js"}
"""The files of packages that pages use, by the name in their URL."""
YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is served. `integrity` is what a `script` element names."""

    content: bytes
    media_type: str
    integrity: str

    @classmethod
    def read(cls, path: Path) -> File:
        content = path.read_bytes()
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        return cls(content, TYPES[path.suffix], f"sha384-{digest}")


class FrontEnd:
    """Files in memory. A package that is missing is left out of the pages, which then load as a whole."""

    def __init__(self, packages: str) -> None:
        self.own = {f.name: File.read(f) for f in STATIC.iterdir() if f.suffix in TYPES}
        self.packages = {
            name: File.read(path)
            for name, file in FILES.items()
            if packages and (path := Path(packages) / file).is_file()
        }

    async def serve_own(self, request: Request) -> Response:
        """Serve a file of `static`."""
        return _answer(self.own.get(request.path_params["name"]), request)

    async def serve_package(self, request: Request) -> Response:
        """Serve a file of a package."""
        return _answer(self.packages.get(request.path_params["name"]), request)


def _answer(file: File | None, request: Request) -> Response:
    if file is None:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    kept = YEAR if request.query_params.get("v") else "no-cache"
    return Response(file.content, media_type=file.media_type, headers={"cache-control": kept})
