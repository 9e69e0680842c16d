"""The bodies that Azure Resource Manager accepts for models, by its published description."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
NUMBER = re.compile(r"[1-9][0-9]{0,9}")
PREVIEWS = frozenset({"2023-08-01-preview", "2024-01-01-preview", "2024-04-01-preview", "2024-10-01-preview"})
"""Versions that Microsoft's client calls for some of its requests."""
API_VERSIONS = PREVIEWS | {"2024-10-01", "2025-04-01", "2025-06-01", "2025-12-01"}
VIEWS = ("ActiveOnly", "ArchivedOnly", "All")
Text = Annotated[str, msgspec.Meta(max_length=5_000)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Value = Annotated[str, msgspec.Meta(max_length=1_000)]
Pairs = Annotated[dict[Key, Value | None], msgspec.Meta(max_length=50)]
"""The limits that Azure states for runs. It states none for models."""


class Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A part of a request. An unknown field is refused."""


class Flavor(Body):
    data: dict[str, str] | None = None


class DatasetReference(Body):
    name: str | None = None
    id: str | None = None


class VersionProperties(Body):
    description: Text | None = None
    tags: Pairs | None = None
    properties: Pairs | None = None
    is_anonymous: bool | None = None
    is_archived: bool | None = None
    flavors: dict[str, Flavor] | None = None
    job_name: str | None = None
    model_type: str | None = None
    model_uri: str | None = None
    stage: str | None = None
    datasets: list[DatasetReference] | None = None


class VersionBody(Body):
    properties: VersionProperties


class ContainerProperties(Body):
    description: Text | None = None
    tags: Pairs | None = None
    properties: Pairs | None = None
    is_archived: bool | None = None


class ContainerBody(Body):
    properties: ContainerProperties


LISTING = frozenset({"$skip", "listViewType"})
QUERIES = {
    "models": LISTING | {"count"},
    "versions": LISTING
    | {"$orderBy", "$top", "version", "description", "offset", "tags", "properties", "feed", "stage"},
    "datastores": frozenset({"$skip", "count", "isDefault", "names", "searchText", "orderBy", "orderByAsc"}),
}
"""The parameters of lists, beside `api-version`."""
