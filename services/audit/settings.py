"""The settings of audit: where the sealed log is exported to, and in what portions."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field

from regista.wire.history import FOLDER
from services.audit.checkpoint_copies.copies import Copy, StoreCopy
from services.audit.checkpoint_copies.kafka_copy import KafkaCopy
from services.audit.export.azure import AzureStore
from services.audit.export.stores import DiskStore, HistoryStore, S3Store
from shared.foundation.s3 import server_of
from shared.foundation.settings import HostPort, Settings


class AuditSettings(Settings):
    """A chunk ends at `history_chunk_leaves` or `history_chunk_bytes`.

    `history_every`: seconds between two looks for a full chunk. `verify_all_every`: seconds from the start of
    one verification of the whole log to the next. `event_feeds`, `event_feeds_of_caller`: the most
    feeds of public events that this process serves, in all and to one caller.
    """

    history_s3_endpoint: HostPort = ""
    history_s3_access_key: str = Field(default="", repr=False)
    history_s3_secret_key: str = Field(default="", repr=False)
    history_s3_bucket: str = "regista-history"
    history_s3_prefix: str = ""
    history_s3_region: str = "us-east-1"
    history_s3_secure: bool = False
    history_s3_session_token: str = Field(default="", repr=False)
    history_s3_sts_endpoint: str = ""
    history_s3_virtual_host: bool = False
    history_s3_kms_key: str = ""
    history_azure_connection_string: str = Field(default="", repr=False)
    history_azure_account_url: str = ""
    history_azure_container: str = "regista-history"
    history_azure_prefix: str = ""
    history_dir: str = ""
    history_chunk_leaves: int = Field(default=50_000, gt=0, le=1_000_000)
    history_chunk_bytes: int = Field(default=64 * 1024**2, gt=0, le=1024**3)
    history_every: float = Field(default=60, gt=0)
    verify_all_every: float = Field(default=24 * 3600, gt=0)
    event_feeds: int = Field(default=200, ge=0, le=1_000)
    event_feeds_of_caller: int = Field(default=10, ge=0, le=1_000)

    @classmethod
    def extending(cls, settings: Settings) -> Self:
        """Return the settings of every service with those of the export from the environment.

        Raises SettingsWrong.
        """
        return cls.model_validate(
            cls.from_environment().model_dump() | settings.model_dump(exclude_unset=True)
        )

    def store(self, folder: str = FOLDER) -> HistoryStore | None:
        """Return S3 or Azure Blob Storage where one is set, else the folder; None without an export.

        `folder` is where the files are below the bucket or the folder. Raises SettingsWrong.
        """
        if self.history_s3_endpoint:
            self.require("history_s3_bucket")
            return S3Store(
                server_of(self, "history_s3"),
                self.history_s3_bucket,
                self.history_s3_prefix,
                folder=folder,
                kms_key=self.history_s3_kms_key,
            )
        if self.history_azure_connection_string or self.history_azure_account_url:
            self.require("history_azure_container")
            return AzureStore(
                self.history_azure_container,
                self.history_azure_prefix,
                folder=folder,
                connection_string=self.history_azure_connection_string,
                account_url=self.history_azure_account_url,
            )
        return DiskStore(Path(self.history_dir), folder) if self.history_dir else None

    def copies(self) -> list[Copy]:
        """Return where log checkpoints are kept outside the database. Raises SettingsWrong."""
        newest, kept = self.store("checkpoints/v1/newest"), self.store("checkpoints/v1/kept")
        return [KafkaCopy(self), *([StoreCopy(newest, kept)] if newest and kept else [])]
