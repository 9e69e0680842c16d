"""The artifact proxy: clients list, upload and download files.

A path `regista/<sha256>/…` holds the verified files of a version. Any other path is a file that the caller
uploaded and that no version has yet: it can be listed and replaced, and is read only once it is verified.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, unquote

from starlette.responses import Response, StreamingResponse

from regista.wire import limits
from services.mlflow.call import Call
from services.mlflow.entities import VERIFIED
from services.mlflow.errors import MlflowError, Problem, invalid
from services.mlflow.names import unescaped
from services.mlflow.uploads import files_of, location_of

_DIGEST = re.compile(rf"{VERIFIED}/(?P<hex>[0-9a-f]{{64}})(?:/(?P<path>.*))?", re.DOTALL)
_PASSED_ON = ("content-length", "content-range", "accept-ranges", "etag", "content-disposition")
MEDIA_TYPE = "application/octet-stream"
Json = dict[str, Any]


def safe(path: str) -> str:
    """Return the path without its outer slashes. Raises MlflowError for one that leaves its folder."""
    plain = unescaped(path, unquote) if len(path) <= limits.TEXT else None
    if plain is None:
        raise invalid("Invalid path")
    parts = plain.replace("\\", "/").split("/")
    if "\x00" in plain or "\\" in path or ".." in parts or re.match(r"[A-Za-z]:|/|[a-z0-9+.-]+://", plain):
        raise invalid("Invalid path")
    return path.strip("/")


async def listed(call: Call) -> Json:
    """List the files and folders directly below a path."""
    path = safe(call.text("path"))
    if found := _DIGEST.fullmatch(path):
        artifact = await call.get(f"/artifacts/sha256:{found['hex']}", "artifact")
        return {"files": _below(artifact["files"], (found["path"] or "").strip("/"))}
    upload = await files_of(call, location_of(path, is_folder=True)) if path else None
    if upload is None:
        return {"files": []}
    return {"files": _below(upload["files"], location_of(path, is_folder=True).path)}


def _below(files: list[Json], folder: str) -> list[Json]:
    """Return the entries of a folder, each with its name in it."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, Json] = {}
    for one in files:
        if one["path"].startswith(prefix):
            name, slash, _ = one["path"].removeprefix(prefix).partition("/")
            size = {} if slash else {"file_size": one["size"]}
            found[name] = {"path": name, "is_dir": bool(slash), **size}
    return [found[name] for name in sorted(found)]


async def upload(call: Call) -> Json:
    """Store a file of any size, as it arrives."""
    path = safe(call.request.path_params["path"])
    location = location_of(path)
    if _DIGEST.fullmatch(path) or not location.path:
        raise invalid(f"'{path}' holds the files of a version, which never change: choose another path.")
    request = call.request
    size = request.headers.get("content-length", "")
    query = {"name": location.path, "folder": location.folder}
    await call.upstream.upload(call.key, query, request.stream(), size)
    return {}


async def download(call: Call) -> Response:
    """Return a verified file, or the part of it that Range names."""
    path = safe(call.request.path_params["path"])
    found = _DIGEST.fullmatch(path)
    if found is None or not found["path"]:
        raise MlflowError(
            "RESOURCE_DOES_NOT_EXIST",
            f"'{path}' is no verified file. Files that were uploaded are read once a version has them: "
            "register one, and use the URI that get-download-uri answers.",
        )
    headers = {
        name: call.request.headers[name] for name in ("range", "if-match") if name in call.request.headers
    }
    try:
        got = await call.upstream.download(
            call.key, f"/artifacts/sha256:{found['hex']}/files/{quote(found['path'])}", headers
        )
    except Problem as problem:
        if problem.status == 404:
            raise MlflowError("RESOURCE_DOES_NOT_EXIST", problem.message) from None
        raise

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async for chunk in got.aiter_raw():
                yield chunk
        finally:
            await got.aclose()

    shown = {name: got.headers[name] for name in _PASSED_ON if name in got.headers}
    shown["x-content-type-options"] = "nosniff"
    return StreamingResponse(chunks(), got.status_code, shown, MEDIA_TYPE)


async def delete(call: Call) -> Json:
    """Refuse: what was uploaded is deleted when no version has it, and a version's files with the version."""
    safe(call.request.path_params["path"])
    raise MlflowError(
        "PERMISSION_DENIED",
        "Files are not deleted here: uploads that no version has expire by themselves, and the files of a "
        "version go with it.",
    )


async def multipart(_call: Call) -> Json:
    """Answer that there are no multipart uploads, in MLflow's words: clients then send one request."""
    raise MlflowError(
        "NOT_IMPLEMENTED",
        "Multipart upload is not supported for the current artifact repository: send the file in one "
        "request. It may have any size.",
    )


async def presigned(_call: Call) -> Json:
    """Answer that there are no presigned URLs: clients then read the file in one request."""
    raise MlflowError(
        "NOT_IMPLEMENTED",
        "Presigned URLs are not given: they would be valid for who has them, and after a withdrawal. Read "
        "the file with your key.",
    )
