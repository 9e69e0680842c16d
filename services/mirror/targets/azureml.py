"""A workspace of Azure ML as a target: a model for a model, a version with our number for a version.

Settings: `workspace`, its resource id; `datastore`, the workspace's default one where it is not named;
`prefix` in the datastore, `name_prefix` before the names of models; `tenant_id`, `client_id` and
`client_secret_file` of a service principal, otherwise the credentials are those of Azure's default chain;
`ca_file`; `arm`, `authority` and `blobs`, the addresses of another cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import ClientSecretCredential
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from regista.wire import mirrored
from regista.wire.azure_ml import ARM, Workspace, is_arm, located, parts_of
from services.mirror.targets.azure_calls import CONNECT_SECONDS, SECONDS, ResourceManager
from services.mirror.targets.azure_folders import Datastores, Folder
from services.mirror.targets.azureml_fields import (
    FILES,
    LONGEST_TEXT,
    OTHERS,
    body_of,
    fields_of,
    files_text,
    found_fields,
    is_archived,
    name_there,
    others_text,
)
from services.mirror.targets.base import Files, Found, Refused, Unavailable, Wanted
from services.mirror.targets.settings import secret, trusted, validated
from services.mirror.targets.texts import MODEL_ID, model_tags
from shared.foundation.azure import default_credential

_GUID = r"^([0-9A-Za-z.-]{1,100})?$"


class AzuremlSettings(BaseModel):
    """See the first lines of this file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    workspace: str = Field(max_length=500)
    datastore: str = Field("", pattern=r"^[A-Za-z0-9_]*$", max_length=255)
    prefix: str = Field("regista", max_length=300, pattern=r"^[A-Za-z0-9._/-]*$")
    name_prefix: str = Field("", max_length=30, pattern=r"^([a-z0-9][a-z0-9_-]*)?$")
    tenant_id: str = Field("", pattern=_GUID)
    client_id: str = Field("", pattern=_GUID)
    client_secret_file: str = ""
    ca_file: str = ""
    arm: str = Field(ARM, max_length=500)
    authority: str = Field("", max_length=500, pattern=r"^(https://[^\s@]+)?$")
    blobs: str = Field("", max_length=500, pattern=r"^(https?://[^\s@]+)?$")

    @field_validator("workspace")
    @classmethod
    def _a_resource(cls, value: str) -> str:
        if parts_of(value) is None:
            raise ValueError(
                "write its resource id, /subscriptions/…/resourceGroups/…/providers/"
                "Microsoft.MachineLearningServices/workspaces/NAME"
            )
        return value

    @field_validator("arm")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if not is_arm(value):
            raise ValueError(f"write it as {ARM}: a token is sent to it")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _a_whole_principal(self) -> AzuremlSettings:
        named = (self.tenant_id, self.client_id, self.client_secret_file)
        if any(named) and not all(named):
            raise ValueError("tenant_id, client_id and client_secret_file belong together")
        return self

    def place(self) -> Workspace:
        """Return the workspace."""
        return Workspace(*(parts_of(self.workspace) or ("", "", "")), self.arm, self.blobs.rstrip("/"))

    def credential(self) -> AsyncTokenCredential:
        """Return the service principal of the settings, or Azure's default chain."""
        limits: dict[str, Any] = {"connection_timeout": CONNECT_SECONDS, "read_timeout": SECONDS}
        if self.ca_file:
            limits["connection_verify"] = self.ca_file
        if self.authority:
            limits["authority"] = self.authority
        if not self.client_id:
            return default_credential(**limits)
        return ClientSecretCredential(
            self.tenant_id, self.client_id, secret(self.client_secret_file), **limits
        )


def open_target(settings: Mapping[str, Any]) -> AzuremlTarget:
    """Return the target with these settings. Raises Refused."""
    return AzuremlTarget(validated(AzuremlSettings, settings, "Azure ML"))


class AzuremlTarget:
    """The models of one workspace."""

    def __init__(self, settings: AzuremlSettings) -> None:
        self._settings = settings
        context = trusted(settings.ca_file)
        self._credential = settings.credential()
        self._arm = ResourceManager(settings.place(), self._credential, context)
        self._datastores = Datastores(self._arm, self._credential, settings.ca_file)

    async def close(self) -> None:
        """Close connections."""
        await self._datastores.close()
        await self._arm.close()
        await self._credential.close()

    def name_of(self, model: str) -> str:
        """Return the model's name in Azure ML."""
        return name_there(self._settings.name_prefix, model)

    def shown(self, wanted: Wanted) -> Mapping[str, str]:
        """Return description, stage, tags and properties, whether it is archived, and the files."""
        return fields_of(wanted)

    async def read(self, wanted: Wanted) -> Found | None:
        """Return the version with our number, if it has our property."""
        version = await self._version(wanted)
        if version is None or not _is_ours(version, wanted):
            return None
        return await self._found(wanted, version)

    async def write(self, wanted: Wanted, files: Files) -> Found:
        """Write the model and the files, then the version with everything that it shows, in one request."""
        there = await self._version(wanted)
        if there is None:
            if not wanted.files:
                raise Refused("A version in Azure ML needs files, and this one has none here.")
            await self._model(wanted)
            uri = await self._uri(wanted)
        elif _is_ours(there, wanted):
            uri = str(there["modelUri"])
        else:
            raise Refused(
                f"Azure ML has a version {wanted.number} of {self._name(wanted)!r} that is not this mirror's:"
                " set name_prefix in the target's settings, then run `regista mirror check --repair`."
            )
        if wanted.files and not is_archived(wanted):
            await self._copy(await self._folder(uri), wanted, files)
        await self._arm.put(self._below(wanted), body_of(wanted, uri, there or {}))
        found = await self.read(wanted)
        if found is None:
            raise Unavailable("Azure ML does not show the version that was written to it.")
        return found

    async def _version(self, wanted: Wanted) -> dict[str, Any] | None:
        """Return the properties of the version with our number."""
        found = await self._arm.get(self._below(wanted))
        if found is None:
            if await self._arm.get("") is None:
                raise Refused("Azure has no such workspace: check `workspace` in the target's settings.")
            return None
        return dict(found.get("properties") or {})

    async def _found(self, wanted: Wanted, version: Mapping[str, Any]) -> Found:
        fields = found_fields(version)
        if wanted.files and not is_archived(wanted):
            there = await (await self._folder(str(version["modelUri"]))).files()
            known = {file.path: file for file in wanted.files}
            fields |= {FILES: files_text(there, known), OTHERS: others_text(there, known)}
        return Found(f"azureml:{self._name(wanted)}:{wanted.number}", fields)

    async def _model(self, wanted: Wanted) -> None:
        """Create the model, or find it with our tag. One that others made is not taken over."""
        below, name = f"/models/{quote(self._name(wanted))}", self._name(wanted)
        found = await self._arm.get(below)
        if found is None:
            body = {"description": wanted.model_description[:LONGEST_TEXT], "tags": model_tags(wanted)}
            await self._arm.put(below, body)
            return
        tags = (found.get("properties") or {}).get("tags") or {}
        if tags.get(MODEL_ID) != wanted.model_id:
            raise Refused(
                f"Azure ML has a model {name!r} that is not this mirror's: set name_prefix in the target's"
                f" settings, or give it to the mirror by its tag {MODEL_ID}={wanted.model_id}; then run"
                " `regista mirror check --repair`."
            )

    async def _uri(self, wanted: Wanted) -> str:
        """Return where the files of a new version go."""
        datastore = self._settings.datastore or await self._datastores.default()
        digest = wanted.artifact_digest.rpartition(":")[2][:16]
        parts = (self._settings.prefix.strip("/"), self._name(wanted), str(wanted.number), digest)
        return self._arm.workspace.files(datastore, "/".join(part for part in parts if part))

    async def _folder(self, uri: str) -> Folder:
        try:
            datastore, path = located(uri, self._arm.workspace)
        except ValueError as e:
            raise Refused(f"The files of the version cannot be written to {uri[:300]}: {e}.") from e
        return await self._datastores.folder(datastore, path)

    @staticmethod
    async def _copy(folder: Folder, wanted: Wanted, files: Files) -> None:
        """Store the files that are not there as they are here."""
        there = {file.path: file for file in await folder.files()}
        for file in wanted.files:
            if there.get(file.path) != file:
                await folder.store(file, files)

    def _name(self, wanted: Wanted) -> str:
        return wanted.name_there or self.name_of(wanted.model)

    def _below(self, wanted: Wanted) -> str:
        return f"/models/{quote(self._name(wanted))}/versions/{wanted.number}"


def _is_ours(version: Mapping[str, Any], wanted: Wanted) -> bool:
    return (version.get("properties") or {}).get(mirrored.AZURE_ML) == wanted.tag
