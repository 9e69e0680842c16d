"""Fill a large log quickly: copy the stored events of one model under other names and numbers.

The copies have their own ids, revisions, digests and numbers, and a note refers to its event. So a rebuild of
the read models and audit treat them like any other events.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg

from benchmarks.trained import digest, trained

SEED, SEEDS = "bench.seed", 3
"""The registered model, and its number of versions. The last one is the template."""
COLUMNS = ("service", "stream", "revision", "event_id", "type", "schema", "bytes")
STORED = f"SELECT {', '.join(COLUMNS)} FROM log.events WHERE stream = $1 ORDER BY revision"
# The relays have nothing to publish: the copies are there for those who read the log.
PUBLISHED = """
INSERT INTO {service}.relay_checkpoint (tx, seq)
SELECT tx::text::bigint, seq FROM log.events WHERE service = '{service}' ORDER BY tx DESC, seq DESC LIMIT 1
ON CONFLICT (only_row) DO UPDATE SET tx = excluded.tx, seq = excluded.seq
"""
EXAMPLES = Path(__file__).parents[1] / "schemas" / "stored"
PAGE = 5_000
ENVIRONMENT = "staging"
APART, LASTED = timedelta(seconds=2), timedelta(days=90)
"""The time between two copied events, and before now of the first one."""

Row = tuple[str, str, int, uuid.UUID, str, int, bytes]


@cache
def model_id(name: str) -> str:
    """Return the id of a copied model."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass(frozen=True, slots=True)
class Template:
    """One stored event as text: `"@id"`, `"@revision"` and the like stand for what differs between copies."""

    service: str
    stream: str
    type: str
    schema: int
    text: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model to copy: its number of versions, and what became of them.

    Every `rejected`-th version is rejected; with 0 none. `reviews`: this many of the newest versions have an
    open review.
    """

    name: str
    versions: int
    rejected: int = 0
    reviews: int = 0


@dataclass(slots=True)
class CopiedLog:
    """Appends copies of the seed's events."""

    owner: asyncpg.Connection
    seed_id: str = ""
    heads: list[Template] = field(default_factory=list)
    versions: dict[str, Template] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - LASTED)
    events: int = 0

    async def read_seed(self, seed_id: str) -> None:
        """Read the events of the seed, which cleanup has noted."""
        self.seed_id = seed_id
        for stream in (f"name-{SEED}", f"model-{seed_id}", f"retention-{seed_id}"):
            stored = await self.owner.fetch(STORED, stream)
            self.heads += [_template(row) for row in stored[:1]]
            if len(stored) > SEEDS:
                self.versions[stored[0]["service"]] = _template(stored[SEEDS])

    async def grow(self, models: Iterable[Model]) -> None:
        """Bring each model to its number of versions. Reviews are added with the first."""
        rows = (row for model in models for row in self._rows(model))
        while page := list(islice(rows, PAGE)):
            await self.owner.copy_records_to_table("events", schema_name="log", columns=COLUMNS, records=page)
        for service in (*self.versions, "approval"):
            await self.owner.execute(PUBLISHED.format(service=service))

    def _rows(self, model: Model) -> Iterator[Row]:
        name = model.name
        first = self.lengths.get(name, 0) + 1
        self.lengths[name] = model.versions
        if first == 1:
            row = None
            for head in self.heads:  # cleanup's note of the model follows the model's event
                row = self._copy(head, name, _noted(row))
                yield row
        for number in range(first, model.versions + 1):
            digests = _digests(name, number)
            registered = self._copy(self.versions["registry"], name, digests)
            yield registered
            yield self._copy(self.versions["cleanup"], name, digests | _noted(registered))
            if model.rejected and number % model.rejected == 0:
                yield self._copy(self._example("VersionRejected", _version(number)), name)
        if first == 1:
            yield from self._reviews(model)

    def _reviews(self, model: Model) -> Iterator[Row]:
        """Yield the reviews of the newest versions."""
        for number in range(model.versions - model.reviews + 1, model.versions + 1):
            review_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{model.name}/{number}"))
            version = {"model": model.name, "model_id": self.seed_id, "number": number}
            opened = {"about": version | {"promotion_id": review_id}, "environment": ENVIRONMENT}
            expiry = {"expires_at": "2126-03-01T12:00:00Z", "semver": _version(number)["semver"]}
            stream = f"review-{review_id}"
            template = self._example(
                "ReviewOpened", opened | expiry, schema=4, service="approval", stream=stream
            )
            yield self._copy(template, model.name)

    def _example(
        self,
        type_: str,
        data: dict[str, Any],
        *,
        schema: int = 1,
        service: str = "registry",
        stream: str | None = None,
    ) -> Template:
        """Return an event that the seed lacks: its example in schemas/stored, with this data."""
        stream = stream or f"model-{self.seed_id}"
        example = json.loads((EXAMPLES / service / f"{type_}.v{schema}.json").read_text("utf-8"))
        if "model" in example:
            example["model"] = self.seed_id
        event = json.loads(self.versions["registry"].text)
        event |= {"stream": stream, "type": type_, "schema": schema, "data": example | data}
        return Template(service, stream, type_, schema, _text(event))

    def _copy(self, template: Template, name: str, more: Mapping[str, str] = MappingProxyType({})) -> Row:
        stream = template.stream.replace(self.seed_id, model_id(name)).replace(SEED, name)
        self.revisions[stream] = revision = self.revisions.get(stream, 0) + 1
        event_id = uuid.UUID(int=random.getrandbits(128), version=4)
        self.events += 1
        recorded = (self.began + self.events * APART).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = template.text.replace("@id", str(event_id)).replace('"@revision"', str(revision))
        text = text.replace("@recorded", recorded)
        text = text.replace(self.seed_id, model_id(name)).replace(SEED, name)
        for old, new in more.items():
            text = text.replace(old, new)
        return (template.service, stream, revision, event_id, template.type, template.schema, text.encode())


def _template(stored: asyncpg.Record) -> Template:
    event = json.loads(stored["bytes"]) | {"id": "@id", "revision": "@revision", "correlation_id": "@id"}
    event["recorded_at"] = "@recorded"
    data, registered = event["data"], event["data"]
    if stored["type"] == "Noted":
        registered = data["data"]
        event["causation_id"] = data["source"]["id"] = "@source"
        data["source"]["revision"], data["leaf"] = "@noted", "@leaf"
    if "number" in registered:
        registered["number"] = "@number"
    return Template(stored["service"], stored["stream"], stored["type"], stored["schema"], _text(event))


def _version(number: int) -> dict[str, Any]:
    return {"number": number, "semver": f"1.0.{number - 1}"}


def _noted(row: Row | None) -> dict[str, str]:
    """Return what a note contains of its event."""
    if row is None:
        return {}
    leaf = hashlib.sha256(b"\0" + row[6]).hexdigest()
    return {"@source": str(row[3]), '"@noted"': str(row[2]), "@leaf": leaf}


def _text(event: Mapping[str, Any]) -> str:
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_TEMPLATE = trained(SEED, SEEDS - 1)


def _digests(name: str, number: int) -> dict[str, str]:
    """Return what differs between two versions: in the template and in the copy."""
    return {
        '"@number"': str(number),
        f'"1.0.{SEEDS - 1}"': f'"1.0.{number - 1}"',
        _TEMPLATE["artifact"]["digest"]: digest("artifact", name, number),
        _TEMPLATE["artifact"]["files"][0]["sha256"]: digest("file", name, number)[7:],
        _TEMPLATE["training"]["dataset"]["digest"]: digest("data", name, number),
    }
