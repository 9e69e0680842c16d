"""Files that a client put into the artifact proxy before it registers a version of them.

A folder of the proxy is an upload of the artifact service that belongs to the caller: the folder of a model
of a run, each folder among the files of a run, or the first part of another path. A version whose source
names the folder, or the run's model, gets its files.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from regista.wire.digests import FileEntry, NoDigest, manifest_digest
from regista.wire.mlmodel import MOST_BYTES, NAME
from services.mlflow.call import Call, at
from services.mlflow.errors import MlflowError, Problem, invalid
from services.mlflow.mlmodel import facts
from services.mlflow.sources import proxy_path

VERIFIED_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between two looks whether the files are verified: the metadata in them is read only then."""
_OF_MODEL = re.compile(r"(?:.*/)?models/(?P<id>m-[\w-]+)/artifacts(?:/(?P<path>.*))?", re.DOTALL)
_OF_RUN = re.compile(r"(?:[^/]+/)*?(?P<id>[^/]+)/artifacts/(?P<path>.+)", re.DOTALL)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Location:
    """A path of the proxy: the folder that holds one upload, and the path in it."""

    folder: str
    path: str = ""


def location_of(path: str, *, is_folder: bool = False) -> Location:
    """Return where a path of the proxy is."""
    if found := _OF_MODEL.fullmatch(path):
        return Location(f"mlflow/{found['id']}", (found["path"] or "").strip("/"))
    if found := _OF_RUN.fullmatch(path):
        return _in_folder(f"mlflow/{found['id']}", found["path"], is_folder=is_folder)
    return _in_folder("mlflow", path, is_folder=is_folder)


def _in_folder(parent: str, path: str, *, is_folder: bool) -> Location:
    """Return the location of a path: its first part is a folder of its own, unless it is a file."""
    first, _, rest = path.partition("/")
    return Location(f"{parent}/{first}", rest) if rest or is_folder else Location(parent, first)


def location_of_source(external: Json) -> Location | None:
    """Return where the files of a source may be in the proxy, None for a source elsewhere."""
    source = external["uri"]
    if source.startswith("models:/m-") and "/" not in source.removeprefix("models:/"):
        return Location(f"mlflow/{source.removeprefix('models:/')}")
    if source.startswith("runs:/"):
        run, _, path = source.removeprefix("runs:/").partition("/")
        return _in_folder(f"mlflow/{run}", path.strip("/"), is_folder=True) if run and path else None
    path = proxy_path(source) or ""
    return location_of(path, is_folder=True) if path else None


async def files_of(call: Call, location: Location) -> Json | None:
    """Return the caller's upload of a folder with its files, None where there is none."""
    try:
        found: Json = await call.get("/uploads", "artifact", folder=location.folder)
    except Problem as problem:
        if problem.status == 404:
            return None
        raise
    prefix = f"{location.path}/" if location.path else ""
    found["files"] = [one for one in found["files"] if one["path"].startswith(prefix)]
    return found


async def known(call: Call, external: Json) -> Json:
    """Return the artifact of a version whose files the caller uploaded, nothing for files elsewhere.

    `mlflow-artifacts:/…` without a host is the proxy of the client's tracking server, unless there are such
    files here.
    """
    location = location_of_source(external)
    found = await files_of(call, location) if location else None
    if found is None or not found["files"]:
        if location and call.is_here(external["uri"]):
            raise invalid(
                f"Invalid model version source: '{external['uri']}'. You have uploaded no files there: "
                "upload them with the same key first."
            )
        return {}
    return _artifact(found, external)


def _artifact(upload: Json, external: Json) -> Json:
    """Return the artifact that the files of an upload are. Raises MlflowError."""
    files = upload["files"]
    try:
        digest = manifest_digest([FileEntry(one["path"], one["size"], one["sha256"]) for one in files])
    except NoDigest as wrong:
        raise invalid(f"The files of '{external['uri']}' are no artifact: {wrong}.") from None
    return {"artifact": {"digest": digest, "files": files, "location": upload["location"]}}


async def arrived(call: Call, row: Json) -> Json:
    """Give a draft without files those that its registrant uploaded since to where its source is.

    It happens when they request where its files are, as clients do to load it: uploads have no other end that
    this service sees. Return the version as it is then.
    """
    external = row["external"]
    location = location_of_source(external) if external and not row["artifact_digest"] else None
    if location is None or row["stage"] != "Draft":
        return row
    if row["registered_by"] != await call.callers.subject(call.key):
        return row
    found = await files_of(call, location)
    if found is None or not found["files"]:
        return row
    path = at(row["model"], "versions", row["number"])
    with contextlib.suppress(MlflowError):  # files that no version may have, or another request was first
        await call.send("PATCH", path, {**_artifact(found, external), "draft": False})
    row = await call.get(path + "/mlflow")
    return await complete(call, row) if row["artifact_digest"] else row


async def complete(call: Call, row: Json) -> Json:
    """Add what the files of a new version state. Files that are not verified soon are read later.

    Return the version as it is then.
    """
    path = at(row["model"], "versions", row["number"], "mlflow")
    for wait in VERIFIED_WAITS:
        if row["artifact_state"] is not None:
            break
        await asyncio.sleep(wait)
        row = await call.get(path)
    if await read_later(call, row):
        row = await call.get(path)
    return row


async def read_later(call: Call, row: Json) -> bool:
    """Add what the files of a draft state, once they are verified; return whether it was tried.

    This replica does that once. Clients poll a version until it is ready. Only who registered it completes
    it: a sender of metadata is one of the version's makers, and may not approve it.
    """
    wanted = row["external"] and row["stage"] == "Draft" and row["artifact_state"] == "available"
    if not wanted or "signature" not in (row["missing"] or ()) or call.read_files.contains(row):
        return False
    if row["registered_by"] != await call.callers.subject(call.key):
        return False
    path = at(row["model"], "versions", row["number"])
    with contextlib.suppress(Problem):  # a file may state what no version may have
        await _add_metadata(call, path, await call.get(path))
        call.read_files.add(row)
    return True


async def _add_metadata(call: Call, path: str, row: Json) -> None:
    """Add what the version's files state. Raises Problem when that is refused."""
    files = row["artifact"]["files"]
    found = next((one for one in files if one["path"].rpartition("/")[2] == NAME), None)
    if found is None or found["size"] > MOST_BYTES:
        return
    got = await call.upstream.download(
        call.key, f"/artifacts/{row['artifact_digest']}/files/{quote(found['path'])}", {}
    )
    try:
        content = await got.aread()
    finally:
        await got.aclose()
    if added := await asyncio.to_thread(facts, content):  # reading YAML takes a while
        await call.send("PATCH", path, {**added, "draft": False})
