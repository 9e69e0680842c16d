"""MLflow's store of registered models: the front decides, and a new version gets its files and metadata."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.rest_store import RestStore
from mlflow.utils.proto_json_utils import message_to_json
from mlflow.utils.rest_utils import MlflowHostCreds
from mlflow.utils.workspace_context import get_request_workspace

from regista.errors import Forbidden, Invalid, Refused, RegistaError
from regista.importing.claims import added_to
from regista.importing.mlflow import PROMPT
from regista.mlflow_plugin import registration
from regista.mlflow_plugin.address import FilesUri
from regista.mlflow_plugin.connection import connection
from regista.wire.mlflow_names import written

log = logging.getLogger("regista")
VERIFIED = "/api/2.0/mlflow-artifacts/artifacts/regista/"
"""The path of verified files in the front's artifact proxy."""
DEFAULT_WORKSPACE = "default"
Json = dict[str, Any]


class RegistaStore(RestStore):
    """Models and versions by the front for MLflow, as the caller.

    A new version is registered by the front. Then its files are uploaded by the SDK, and what the run states
    is added: with everything that is mandatory it is a version, else a draft.
    """

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        self._connection = connection(store_uri)
        self._tracking_uri = tracking_uri
        super().__init__(self._credentials)

    def _credentials(self) -> MlflowHostCreds:
        own = self._connection
        return MlflowHostCreds(
            own.front(), token=own.token() or None, server_cert_path=own.profile.ca_file or None
        )

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Register a version with its files and what its run states.

        What cannot be added leaves a draft, and a warning states why.
        """
        logged = self._logged_model(model_id or _model_id(source))
        run_id = run_id or logged.get("info", {}).get("source_run_id")
        made = super().create_model_version(
            name, source, run_id, tags, run_link, description, model_id=model_id
        )
        if _is_copy(source) or any(tag.key == PROMPT for tag in tags or ()):
            return made
        try:
            self._add(
                f"{_in_regista(name)}@{made.version}", source, self._run(run_id), logged, local_model_path
            )
        except (RegistaError, MlflowException, OSError) as error:
            log.warning("%s version %s is a draft in Regista: %s", name, made.version, error)
        return self.get_model_version(name, made.version)

    def complete_model_version(self, name: str, version: str) -> ModelVersion:
        """Add to a draft the files of its source and what its run states, as far as it lacks them.

        Raises what cannot be read or is refused.
        """
        reference, client = f"{_in_regista(name)}@{version}", self._connection.client
        draft = client.version(reference)
        if draft["registered_by"] != (who := client.whoami()["subject"]):
            detail = f"{draft['registered_by']} registered {reference}, and you are {who}"
            advice = "Let them complete it: its source is read with the credentials of who does."
            raise Forbidden("draft_of_another", detail, advice=advice)
        external = cast("Json", draft["external"] or {})
        source = str(external.get("uri") or "")
        logged = self._logged_model(str(external.get("model_id") or _model_id(source)))
        run_id = external.get("run_id") or logged.get("info", {}).get("source_run_id")
        self._add(reference, source, self._run(run_id), logged, None)
        return self.get_model_version(name, version)

    def _add(
        self, reference: str, source: str, run: Json, logged: Json, local_model_path: str | None
    ) -> None:
        """Upload the files of a draft, and add the metadata that it lacks. Raises what `create` reports."""
        client = self._connection.client
        draft = client.version(reference)
        uploaded = bool(draft["artifact"])  # they were in the front's artifact proxy
        with self._files(source, local_model_path, uploaded=uploaded) as folder:
            found = registration.metadata(
                self._tracking_uri or "", run, logged, folder, here=bool(local_model_path)
            )
            files: Json = {} if uploaded or folder is None else {"artifact": client.upload(folder)}
        added = added_to(cast("Json", draft), found)
        try:
            client.complete(reference, added | files)
        except (Invalid, Refused) as refused:
            log.warning("what the run of %s states is not added: %s", reference, refused)
            if files:
                client.complete(reference, files)

    @contextmanager
    def _files(self, source: str, local: str | None, *, uploaded: bool) -> Iterator[Path | None]:
        """Yield the folder with the model's files. Files that the front has are not downloaded again."""
        if local or uploaded:
            yield Path(local) if local else None
            return
        with tempfile.TemporaryDirectory(prefix="regista-") as temporary:
            is_here = urlsplit(source).scheme in {"", "file"}
            yield Path(
                download_artifacts(
                    artifact_uri=source,
                    dst_path=None if is_here else temporary,
                    tracking_uri=self._tracking_uri,
                )
            )

    def _run(self, run_id: str | None) -> Json:
        """Return what the tracking server states about a run, nothing where it has none."""
        if not run_id:
            return {}
        try:
            return _answer(MlflowClient(self._tracking_uri).get_run(run_id))
        except MlflowException:
            return {}

    def _logged_model(self, model_id: str | None) -> Json:
        """Return what the tracking server states about a logged model, nothing where it has none."""
        if not model_id:
            return {}
        try:
            return _answer(MlflowClient(self._tracking_uri).get_logged_model(model_id))
        except MlflowException:
            return {}

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Return where the files are: verified ones are read by the SDK, others where their source is."""
        uri = str(super().get_model_version_download_uri(name, version))
        base, verified, path = uri.partition(VERIFIED)
        if not verified or not self._connection.is_front(base):
            return uri
        return FilesUri(self._connection.profile.url, unquote(path).strip("/")).uri


def _answer(entity: Any) -> Json:
    """Return an entity in the form of MLflow's REST API."""
    answer: Json = json.loads(message_to_json(entity.to_proto()))
    return answer


def _model_id(source: str) -> str:
    """Return the id of the logged model that a source names, or ""."""
    return source.removeprefix("models:/") if source.startswith("models:/m-") else ""


def _is_copy(source: str) -> bool:
    """Return whether a source is a version of this registry."""
    return source.startswith("models:/") and not _model_id(source)


def _in_regista(name: str) -> str:
    """Return the name of a model in Regista, where a workspace is a namespace."""
    workspace = get_request_workspace()
    if not workspace or workspace == DEFAULT_WORKSPACE:
        return written(name)
    return f"{workspace}.{written(name)}"
