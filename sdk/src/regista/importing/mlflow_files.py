"""Read the files of an artifact through an MLflow server: its artifact proxy, or what it opens itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from regista.importing.files import Files, SourceFile, Unreachable
from regista.importing.requests import Requests

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
DEEPEST = 50
"""Levels of folders in an artifact."""


class ServerFiles(Files):
    """The files of a folder to which an MLflow server has access. `folder` is relative to its root."""

    def __init__(self, requests: Requests, folder: str) -> None:
        self._requests = requests
        self._folder = folder.strip("/")

    async def entries(self) -> list[SourceFile]:
        found: list[SourceFile] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            path, query = self._listing(self._below(folder))
            for entry in (await self._requests.get(path, query)).get("files") or ():
                name = f"{folder}/{str(entry['path']).rpartition('/')[2]}".strip("/")
                if not entry.get("is_dir"):
                    found.append(SourceFile(name, int(entry.get("file_size") or 0)))
                elif name.count("/") >= DEEPEST:
                    raise Unreachable(f"its folders are nested deeper than {DEEPEST} levels")
                else:
                    folders.append(name)
            self._check(len(found), len(folders))
        return sorted(found, key=lambda file: file.path)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        where, query = self._file(self._below(path))
        async with self._requests.open(where, query) as answer:
            async for piece in answer.aiter_bytes():
                yield piece

    def _below(self, path: str) -> str:
        return f"{self._folder}/{path}".strip("/")

    def _listing(self, folder: str) -> tuple[str, Mapping[str, Any]]:
        """Return path and query of the request that lists a folder."""
        raise NotImplementedError

    def _file(self, path: str) -> tuple[str, Mapping[str, Any]]:
        """Return path and query of the request for a file."""
        raise NotImplementedError


class ProxiedFiles(ServerFiles):
    """A folder of the artifact proxy."""

    def _listing(self, folder: str) -> tuple[str, Mapping[str, Any]]:
        return PROXY, {"path": folder}

    def _file(self, path: str) -> tuple[str, Mapping[str, Any]]:
        return f"{PROXY}/{quote(path)}", {}


class RunFiles(ServerFiles):
    """A folder of a run, wherever its server keeps it: the server reads it with its own credentials."""

    def __init__(self, requests: Requests, run_id: str, folder: str) -> None:
        super().__init__(requests, folder)
        self._run_id = run_id

    def _listing(self, folder: str) -> tuple[str, Mapping[str, Any]]:
        return f"{API}/artifacts/list", {"run_id": self._run_id, "path": folder or None}

    def _file(self, path: str) -> tuple[str, Mapping[str, Any]]:
        return "/get-artifact", {"run_id": self._run_id, "path": path}


class LoggedModelFiles(ServerFiles):
    """A folder of a logged model (MLflow 3), wherever its server keeps it."""

    def __init__(self, requests: Requests, model_id: str, folder: str) -> None:
        super().__init__(requests, folder)
        self._at = f"logged-models/{quote(model_id, safe='')}/artifacts"

    def _listing(self, folder: str) -> tuple[str, Mapping[str, Any]]:
        return f"{API}/{self._at}/directories", {"artifact_directory_path": folder or None}

    def _file(self, path: str) -> tuple[str, Mapping[str, Any]]:
        return f"/ajax-api/2.0/mlflow/{self._at}/files", {"artifact_file_path": path}
