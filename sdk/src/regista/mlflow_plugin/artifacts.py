"""Read the verified files of a version in MLflow's client: each file is hashed while it is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import mlflow
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository

if TYPE_CHECKING:
    from regista.wire.digests import Manifest


class RegistaArtifactRepository(ArtifactRepository):
    """Verified files, by a URI that `RegistaStore.get_model_version_download_uri` returned.

    A version's source may be any text, so only files of the registry that the caller chose are read: no other
    address gets the caller's key.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        from regista.mlflow_plugin.address import files_uri, registry_url, same_service  # noqa: PLC0415
        from regista.mlflow_plugin.connection import connection  # noqa: PLC0415 - `import mlflow` is short

        self._named = files_uri(artifact_uri)
        chosen = str(registry_uri or mlflow.get_registry_uri())
        self._connection = connection(chosen)
        self._manifests: dict[str, Manifest] = {}
        registry = registry_url(chosen) or self._connection.profile.url
        if not same_service(registry, self._named.registry):
            raise MlflowException.invalid_parameter_value(
                f"The files are at {self._named.registry}, and your registry is {registry}: set the registry "
                "URI to that one if you trust it."
            )

    def _manifest(self, digest: str) -> Manifest:
        """Return the files of an artifact. Raises Damaged for a list that does not hash to the digest."""
        from regista.client.loop_thread import LOOP  # noqa: PLC0415 - as above
        from regista.errors import Damaged  # noqa: PLC0415
        from regista.files import manifest  # noqa: PLC0415
        from regista.wire.digests import FileEntry  # noqa: PLC0415

        if digest not in self._manifests:
            call = self._connection.transport.call("GET", "artifact", f"/artifacts/{digest}")
            files = [FileEntry(f["path"], f["size"], f["sha256"]) for f in LOOP.run(call).body["files"]]
            listed = manifest(files)
            if listed.digest != digest:
                detail = f"the list of files of {digest} is not the one that was registered"
                raise Damaged("artifact_altered", detail)
            self._manifests[digest] = listed
        return self._manifests[digest]

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return the files and folders directly below a folder."""
        shown = f"{path.strip('/')}/" if path and path.strip("/") else ""
        digest, folder = self._named.at(shown)
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        found: dict[str, FileInfo] = {}
        for entry in self._manifest(digest).files:
            if entry.path.startswith(prefix):
                first, slash, _ = entry.path.removeprefix(prefix).partition("/")
                found[first] = FileInfo(shown + first, bool(slash), None if slash else entry.size)
        return [found[name] for name in sorted(found)]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        from regista.client.loop_thread import LOOP  # noqa: PLC0415 - as above
        from regista.loading.download import download  # noqa: PLC0415

        digest, path = self._named.at(remote_file_path)
        entry = next((one for one in self._manifest(digest).files if one.path == path), None)
        if entry is None:
            raise MlflowException.invalid_parameter_value(f"The version has no file {path!r}.")
        transport = self._connection.transport
        LOOP.run(download(transport, transport.patience, digest, entry, Path(local_path), None))

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> NoReturn:  # noqa: ARG002 - as MLflow calls it
        """Refuse: the files of a version never change."""
        raise MlflowException.invalid_parameter_value(
            f"{local_file} is not added, because the files of a version never change: register a new version "
            "with mlflow.register_model."
        )

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> NoReturn:
        """Refuse: the files of a version never change."""
        self.log_artifact(local_dir, artifact_path)
