"""The settings of this service: the object store, and the limits and times of artifacts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field

from regista.wire import limits
from services.artifact.domain.manifest import Limits
from services.artifact.stores import ObjectStore
from services.artifact.stores.disk import DiskStore
from services.artifact.stores.s3 import MOST, S3Store
from shared.foundation.s3 import server_of
from shared.foundation.settings import HostPort, Settings, SettingsWrong

ONE_STORE = (
    "set REGISTA_S3_ENDPOINT (with REGISTA_S3_ACCESS_KEY and REGISTA_S3_SECRET_KEY), "
    "REGISTA_AZURE_CONNECTION_STRING or REGISTA_AZURE_ACCOUNT_URL, or REGISTA_ARTIFACT_DIR: "
    "exactly one of them names the store of the artifacts"
)


class ArtifactSettings(Settings):
    """The store is S3 (`s3_endpoint`, `host:port`), Azure Blob Storage or the folder `artifact_dir`.

    S3: without a key, the service uses the credentials of its process (`S3Server`). `s3_kms_key` is the id of
    a key of the store's key management that encrypts what is stored. `s3_tags=false` is for stores without
    object tags.

    Azure: `azure_connection_string` has a key or a shared access signature. With `azure_account_url` alone
    the service signs in with its managed identity, workload identity or service principal.

    Sizes are bytes, times are seconds. `artifact_delete_after`: from the expiry tag to the deletion.
    `artifact_upload_keep`: how long files may be added to an upload. `artifact_max_uploads`: the most
    uploads that one publisher may have open.
    """

    s3_endpoint: HostPort = ""
    s3_access_key: str = Field(default="", repr=False)
    s3_secret_key: str = Field(default="", repr=False)
    s3_bucket: str = "regista"
    s3_region: str = "us-east-1"
    s3_secure: bool = False
    s3_session_token: str = Field(default="", repr=False)
    s3_sts_endpoint: str = ""
    s3_virtual_host: bool = False
    s3_kms_key: str = ""
    s3_tags: bool = True
    azure_connection_string: str = Field(default="", repr=False)
    azure_account_url: str = ""
    azure_container: str = "regista"
    artifact_dir: str = ""
    artifact_max_file_bytes: int = Field(default=limits.FILE_BYTES, gt=0, le=MOST)
    artifact_max_bytes: int = Field(default=limits.ARTIFACT_BYTES, gt=0)
    artifact_max_files: int = Field(default=limits.FILES, gt=0, le=limits.FILES)
    artifact_upload_keep: float = Field(default=24 * 3600, gt=0)
    artifact_upload_timeout: float = Field(default=6 * 3600, gt=0)
    artifact_check_every: float = Field(default=24 * 3600, gt=0)
    artifact_delete_after: float = Field(default=0, ge=0)
    artifact_max_uploads: int = Field(default=10_000, gt=0)
    artifact_connections: int = Field(default=16, gt=0)

    @classmethod
    def extending(cls, settings: Settings) -> Self:
        """Return the settings of every service with those of artifacts from the environment.

        Raises SettingsWrong.
        """
        return cls.model_validate(
            cls.from_environment().model_dump() | settings.model_dump(exclude_unset=True)
        )

    @property
    def limits(self) -> Limits:
        """The limits of one artifact."""
        return Limits(self.artifact_max_files, self.artifact_max_bytes)

    @property
    def keep_upload(self) -> timedelta:
        """How long an upload is kept. Its last file may begin when `artifact_upload_keep` ends."""
        return timedelta(seconds=self.artifact_upload_keep) + self.upload_timeout

    @property
    def upload_timeout(self) -> timedelta:
        """The longest time of one file."""
        return timedelta(seconds=self.artifact_upload_timeout)

    @property
    def check_every(self) -> timedelta:
        """The time between two checks of bytes that serve or served."""
        return timedelta(seconds=self.artifact_check_every)

    @property
    def delete_after(self) -> timedelta:
        """The time between the expiry tag and the deletion."""
        return timedelta(seconds=self.artifact_delete_after)

    def store(self) -> ObjectStore:
        """Return the store that the settings name. Raises SettingsWrong."""
        azure = self.azure_connection_string or self.azure_account_url
        if sum(map(bool, (self.s3_endpoint, azure, self.artifact_dir))) != 1:
            raise SettingsWrong(ONE_STORE)
        if self.s3_endpoint:
            self.require("s3_bucket")
            return S3Store(
                server_of(self, "s3"),
                self.s3_bucket,
                kms_key=self.s3_kms_key,
                with_tags=self.s3_tags,
                connections=self.artifact_connections,
            )
        if azure:
            self.require("azure_container")
            from services.artifact.stores.azure import AzureStore  # noqa: PLC0415 - 30 MB of memory

            return AzureStore(
                self.azure_container,
                connection_string=self.azure_connection_string,
                account_url=self.azure_account_url,
                connections=self.artifact_connections,
            )
        return DiskStore(Path(self.artifact_dir))
