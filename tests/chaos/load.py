"""The load of a chaos run: pipelines on Kafka and HTTP, and an engineer who changes who serves."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from regista.publishing.publication import MODEL_TRAINED, event
from regista.wire.cloudevents import to_kafka
from regista.wire.digests import FileEntry, manifest_digest
from regista.wire.keys import SigningKey
from tests.chaos.callers import Answer, Caller, KafkaCaller
from tests.chaos.journal import Journal
from tests.chaos.publishing import NAMESPACE, document

TRAINING = "regista.training.v1"
GATES = [{"kind": "metadata_complete"}, {"kind": "artifact_verified"}]
POLICY = {
    "stages": {"Validated": GATES, "Production": [{"kind": "artifact_verified"}]},
    "applies_to": {"namespaces": [NAMESPACE]},
    "priority": 100,
    "unreviewed": True,
    "unreviewed_reason": "the faults are what is tested, not the people",
}
"""Without a manual gate: promotions are granted as fast as the services decide."""
KEEP_NOTHING = {
    "unused": 0,
    "left_production": 0,
    "unknown": 0,
    "draft": 0,
    "rejected": 0,
    "keep_newest": 2,
    "grace": 0,
}
KAFKA_MODELS, HTTP_MODELS = 3, 5
PACE = 0.2


@dataclass(slots=True)
class Load:
    """Run `until` a moment. `publisher` publishes, `engineer` does all the rest."""

    publisher: Caller
    engineer: Caller
    kafka: KafkaCaller
    key: SigningKey
    journal: Journal
    random: random.Random
    stop: asyncio.Event

    async def run(self) -> None:
        """Run every flow until `stop` is set. A flow that fails ends the run."""
        flows: list[Coroutine[Any, Any, None]] = [
            *(self._pipeline(f"{NAMESPACE}.kafka-{n}") for n in range(KAFKA_MODELS)),
            *(self._owner(f"{NAMESPACE}.http-{n}") for n in range(HTTP_MODELS)),
            self._cleaner(),
        ]
        async with asyncio.TaskGroup() as group:
            for flow in flows:
                group.create_task(flow)

    # -- publishers

    async def _upload(self, model: str, number: int) -> dict[str, Any]:
        content = f"{model} {number} ".encode() * self.random.randint(20, 4_000)
        sha = hashlib.sha256(content).hexdigest()
        name = "model.onnx"
        answer = await self.publisher.call("artifact", "POST", f"/uploads?name={name}", content=content)
        assert answer.good, answer
        files = [{"path": name, "size": len(content), "sha256": sha}]
        digest = manifest_digest([FileEntry(name, len(content), sha)])
        return {"digest": digest, "files": files, "location": answer.body["location"]}

    async def _pipeline(self, model: str) -> None:
        """Publish on Kafka: good messages, incomplete ones, and now and then one that no one can read."""
        for number in itertools.count(1):
            if self.stop.is_set():
                return
            data = document(model, number, await self._upload(model, number))
            expected = "VersionRegistered"
            if number % 9 == 0:
                del data["training"]["config"]
                expected = "RegistrationRefused"
            message = event(MODEL_TRAINED, model, data, self.key)
            key, value, headers = to_kafka(message)
            if number % 7 == 0:
                headers = [(name, text) for name, text in headers if name != "ce_dssematerial"]
                expected = "dead letter"
            at = await self.kafka.send(TRAINING, key, value, headers)
            self.journal.write(
                "stored",
                id=message.id,
                model=model,
                expected=expected,
                partition=at.partition,
                offset=at.offset,
            )
            await asyncio.sleep(PACE)

    # -- owners of models

    async def _owner(self, model: str) -> None:
        """Register versions over HTTP, promote them, and change who serves."""
        for number in itertools.count(1):
            if self.stop.is_set():
                return
            data = document(model, number, await self._upload(model, number))
            path = f"/models/{model}/versions"
            registered = await self.publisher.command("register", "registry", "POST", path, data, model=model)
            if registered.good:
                await self._promote(model, registered.body["number"])
            for _ in range(3):
                await self._serve(model)
                await asyncio.sleep(PACE)

    async def _promote(self, model: str, number: int) -> None:
        """Promote the version once it is validated. Wait for that, not for more than twenty seconds."""
        one = f"/models/{model}/versions/{number}"
        if not await self._reaches(one, {"Validated", "Production"}):
            return
        body = {"environment": "production", "reason": "chaos"}
        await self.engineer.command("promote", "registry", "POST", f"{one}:promote", body)

    async def _reaches(self, one: str, stages: set[str]) -> bool:
        for _ in range(40):
            found = await self.engineer.get("registry", one)
            if found.good and found.body["stage"] in stages:
                return True
            if self.stop.is_set():
                return False
            await asyncio.sleep(0.5)
        return False

    async def _serve(self, model: str) -> None:
        """Split, switch, roll back or set an alias, at random, from what serves now."""
        path = f"/models/{model}/rollouts/production"
        now = await self.engineer.get("registry", path)
        versions = await self.engineer.get("registry", f"/models/{model}/versions")
        if not versions.good:
            return
        stages = {v["number"]: v["stage"] for v in versions.body["items"]}
        granted = [number for number, stage in stages.items() if stage == "Production"]
        usable = [number for number, stage in stages.items() if stage in {"Validated", "Production"}]
        if not granted:
            return
        newest, etag = max(usable), now.etag if now.good else '"0"'
        champion = _champion(now)
        what = self.random.choice(["switch", "switch", "split", "split", "rollback", "alias"])
        if what == "rollback" and champion:
            body: dict[str, Any] = {"reason": "chaos", "from_number": champion}
            await self.engineer.command("rollback", "registry", "POST", f"{path}:rollback", body, model=model)
        elif what == "alias":
            alias = f"/models/{model}/aliases/candidate"
            await self.engineer.command("alias", "registry", "PUT", alias, {"number": newest}, model=model)
        elif what == "split" and champion and champion != newest:
            entries = [_entry(champion, 95, "champion"), _entry(newest, 5, "challenger")]
            await self._change(path, model, entries, etag)
        else:
            await self._change(path, model, [_entry(max(granted), 100, "champion")], etag)

    async def _change(self, path: str, model: str, entries: list[dict[str, Any]], etag: str) -> None:
        body = {"entries": entries, "reason": "chaos"}
        await self.engineer.command("rollout", "registry", "POST", path, body, etag=etag, model=model)

    async def _cleaner(self) -> None:
        """Let cleanup retire whatever registry lets go, again and again."""
        models = [
            f"{NAMESPACE}.{kind}-{n}" for kind, n in itertools.product(("http", "kafka"), range(KAFKA_MODELS))
        ]
        while not self.stop.is_set():
            model = self.random.choice(models)
            policy = await self.engineer.get("cleanup", f"/retention/{model}")
            if policy.good:
                path = f"/retention/{model}"
                await self.engineer.command(
                    "retention", "cleanup", "PUT", path, KEEP_NOTHING, etag=policy.etag or '"0"', model=model
                )
                await self.engineer.command(
                    "sweep", "cleanup", "POST", "/cleanup-runs", {"model": model}, model=model
                )
            await asyncio.sleep(4)


def _entry(number: int, percent: int, role: str) -> dict[str, Any]:
    return {"number": number, "percent": percent, "role": role}


def _champion(rollout: Answer) -> int:
    entries = rollout.body.get("entries", []) if rollout.good else []
    return next((int(e["number"]) for e in entries if e["role"] == "champion"), 0)
