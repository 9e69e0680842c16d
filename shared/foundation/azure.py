"""Make clients of Azure Blob Storage, synchronous and asynchronous, from the same settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential
    from azure.storage.blob import ContainerClient
    from azure.storage.blob.aio import ContainerClient as AsyncContainerClient

PIECE = 1024 * 1024
"""Bytes of one request of a download, which are in memory at a time."""

_SIZES: dict[str, Any] = {"max_single_get_size": PIECE, "max_chunk_get_size": PIECE}
_OF_DEVELOPERS: dict[str, Any] = dict.fromkeys(
    (
        "exclude_cli_credential",
        "exclude_developer_cli_credential",
        "exclude_powershell_credential",
        "exclude_shared_token_cache_credential",
        "exclude_visual_studio_code_credential",
        "exclude_broker_credential",
    ),
    True,
)
"""A server has none of these, and looking for them starts programs."""


def container(name: str, connection_string: str, account_url: str) -> ContainerClient:
    """Return the client of a container.

    A connection string has a key or a shared access signature. Without one the environment names the
    identity: a managed identity, a workload identity, or the service principal of AZURE_CLIENT_ID,
    AZURE_TENANT_ID and AZURE_CLIENT_SECRET.
    """
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - 30 MB of memory
    from azure.storage.blob import ContainerClient  # noqa: PLC0415

    chain = partial(DefaultAzureCredential, **_OF_DEVELOPERS)
    made: ContainerClient = _made(ContainerClient, chain, name, connection_string, account_url)
    return made


def async_container(name: str, connection_string: str, account_url: str) -> AsyncContainerClient:
    """Return the same for asyncio. The client belongs to the event loop that first uses it."""
    from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415

    made: AsyncContainerClient = _made(
        ContainerClient, default_credential, name, connection_string, account_url
    )
    return made


def default_credential(**more: Any) -> DefaultAzureCredential:
    """Return the identity that the environment names, for asyncio. `more`: how its requests are sent."""
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - 30 MB of memory

    return DefaultAzureCredential(**_OF_DEVELOPERS, **more)


def _made(client: Any, credential: Any, name: str, connection_string: str, account_url: str) -> Any:
    if connection_string:
        return client.from_connection_string(connection_string, name, **_SIZES)
    return client(account_url, name, credential=credential(), **_SIZES)
