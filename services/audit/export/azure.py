"""Store exported files in a container of Azure Blob Storage, by Microsoft's synchronous client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from regista.wire.history import FOLDER
from services.audit.export.stores import NoSuchFile, StoreUnavailable

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class AzureStore:
    """One container.

    The client is imported at the first use: a service that serves no file saves its memory.
    """

    def __init__(
        self,
        container: str,
        prefix: str = "",
        *,
        folder: str = FOLDER,
        connection_string: str = "",
        account_url: str = "",
    ) -> None:
        self._settings = (container, connection_string, account_url)
        self._folder = f"{prefix.strip('/')}/{folder}".lstrip("/")
        self._made: ContainerClient | None = None

    @property
    def uri(self) -> str:
        return f"{self._client.url.partition('?')[0]}/{self._folder}"

    @property
    def _client(self) -> ContainerClient:
        if self._made is None:
            from shared.foundation.azure import container  # noqa: PLC0415

            self._made = container(*self._settings)
        return self._made

    def put(self, name: str, content: bytes) -> None:
        """Store the file: Azure shows a blob as a whole."""
        with _azure():
            self._client.upload_blob(f"{self._folder}/{name}", content, overwrite=True)

    def put_new(self, name: str, content: bytes) -> bool:
        """Store the file unless the name exists, on the condition `If-None-Match: *`."""
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415

        try:
            with _azure():
                self._client.upload_blob(f"{self._folder}/{name}", content, overwrite=False)
        except ResourceExistsError:
            return False
        return True

    def read(self, name: str) -> Iterator[bytes]:
        with _azure():
            yield from self._client.download_blob(f"{self._folder}/{name}").chunks()

    def names(self, after: str) -> list[str]:
        with _azure():
            found = self._client.list_blob_names(name_starts_with=f"{self._folder}/")
            return sorted(name for one in found if (name := one.rpartition("/")[2]) > after)


@contextlib.contextmanager
def _azure() -> Iterator[None]:
    from azure.core.exceptions import (  # noqa: PLC0415
        AzureError,
        HttpResponseError,
        ResourceExistsError,
        ResourceNotFoundError,
    )

    try:
        yield
    except ResourceExistsError:
        raise
    except ResourceNotFoundError as e:
        if "ContainerNotFound" in str(getattr(e, "error_code", "")):
            raise StoreUnavailable("the container of the exported log does not exist: create it") from e
        raise NoSuchFile(str(e.reason)) from e
    except HttpResponseError as e:
        raise StoreUnavailable(f"the store of the exported log answered {e.status_code}: {e.reason}") from e
    except AzureError as e:
        raise StoreUnavailable(f"the store of the exported log cannot be used: {e}") from e
