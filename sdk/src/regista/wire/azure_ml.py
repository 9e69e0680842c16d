"""Where a workspace of Azure ML and its files are, and which hosts of Azure may be called. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

ARM = "https://management.azure.com"
PROVIDER = "Microsoft.MachineLearningServices"
API_VERSION = "2024-10-01"
"""A stable version of the interface. Later ones keep what is read and written here."""
SUFFIXES = frozenset({"core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net"})
"""What follows `blob.` in the names of Azure's own hosts. No other one gets the caller's token or a key."""
SECRETS: Mapping[str, str] = MappingProxyType({"AccountKey": "key", "Sas": "sasToken"})
"""The credentials that a workspace keeps for a datastore, and their field."""
READABLE = "AzureBlob"
"""The only type of datastores whose files are read and written."""
_RESOURCE = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices/workspaces/([^/]+)/?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[\w.()-]{1,90}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_LONG = re.compile(
    r"azureml://subscriptions/([^/]+)/resourcegroups/([^/]+)/(?:providers/[^/]+/)?workspaces/([^/]+)"
    r"/datastores/([^/]+)/paths/(.*)",
    re.IGNORECASE | re.DOTALL,
)
_SHORT = re.compile(r"azureml://datastores/([^/]+)/paths/(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace, and the address of Azure Resource Manager. `blobs`: where its accounts are, or ""."""

    subscription: str
    group: str
    name: str
    arm: str = ARM
    blobs: str = ""

    @property
    def path(self) -> str:
        """Its path in Azure Resource Manager."""
        parts = (quote(one, safe="") for one in (self.subscription, self.group, self.name))
        return "/subscriptions/{}/resourceGroups/{}/providers/{provider}/workspaces/{}".format(
            *parts, provider=PROVIDER
        )

    @property
    def uri(self) -> str:
        """Its name in `imported_from`. Azure does not distinguish upper and lower case in it."""
        return uri_of(self.subscription.lower(), self.group.lower(), self.name.lower())

    def files(self, datastore: str, path: str) -> str:
        """Return the URI of files in a datastore, in the long form that Azure stores."""
        return f"{uri_of(self.subscription, self.group, self.name)}/datastores/{datastore}/paths/{path}"


def uri_of(subscription: str, group: str, name: str) -> str:
    """Return the URI of a workspace."""
    return f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{name}"


def parts_of(resource_id: str) -> tuple[str, str, str] | None:
    """Return subscription, resource group and name of a workspace's resource id, None for other texts."""
    found = _RESOURCE.fullmatch(resource_id)
    return (found[1], found[2], found[3]) if found else None


def is_name(text: str) -> bool:
    """Return whether a subscription, resource group or workspace may be called so."""
    return _NAME.fullmatch(text) is not None


def is_arm(address: str) -> bool:
    """Return whether a token may be sent to this address of Azure Resource Manager."""
    parts = urlsplit(address)
    odd = parts.username or parts.query or parts.path.strip("/")
    return parts.scheme == "https" and bool(parts.hostname) and not odd


def located(uri: str, workspace: Workspace) -> tuple[str, str]:
    """Return the datastore and the path that a URI names. Raises ValueError."""
    if found := _SHORT.fullmatch(uri):
        name, path = found.groups()
    elif found := _LONG.fullmatch(uri):
        *at, name, path = found.groups()
        own = (workspace.subscription, workspace.group, workspace.name)
        if [part.lower() for part in at] != [part.lower() for part in own]:
            raise ValueError("it is in another workspace: import that one")
    else:
        raise ValueError("it is no path in a datastore of the workspace")
    if not path.strip("/"):
        raise ValueError("it is a whole datastore")
    return name, path.strip("/")


def address_of(facts: Mapping[str, Any], blobs: str = "") -> tuple[str, str]:
    """Return the account's URL and the container of a datastore. `blobs`: what the caller named.

    Everybody who may create datastores there writes these facts, so no host but Azure's own is called.
    Raises ValueError.
    """
    account, container = str(facts.get("accountName") or ""), str(facts.get("containerName") or "")
    endpoint = str(facts.get("endpoint") or "core.windows.net")
    if not _ACCOUNT.fullmatch(account) or not _CONTAINER.fullmatch(container):
        raise ValueError(f"its datastore names the account {account!r:.80}, container {container!r:.80}")
    if blobs:
        return blobs.replace("{account}", account), container
    if endpoint not in SUFFIXES:
        raise ValueError(
            f"its datastore is at {endpoint!r:.80}, which is none of Azure's own hosts: name it by `blobs`"
        )
    return f"https://{account}.blob.{endpoint}", container


def secret_of(facts: Mapping[str, Any]) -> str:
    """Return the field of the secret that a workspace keeps for a datastore, "" where it keeps none."""
    return SECRETS.get(str((facts.get("credentials") or {}).get("credentialsType") or "None"), "")
