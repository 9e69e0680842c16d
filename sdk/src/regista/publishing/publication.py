"""From a file and a run to ModelTrained: upload, build, sign, send, and wait for what the registry made of it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from regista.client.transport import Transport
from regista.errors import (
    Damaged,
    DeadLettered,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Refused,
    RegistaError,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from regista.files import HashingStream, Progress, files_of, manifest
from regista.publishing.json_values import check_exact, plain
from regista.publishing.tracking import Run
from regista.wire.cloudevents import CloudEvent
from regista.wire.digests import FileEntry
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey

MODEL_TRAINED = "regista.ModelTrained.v1"
TOPIC = "regista.training.v1"
DEAD_LETTERS = 50  # how many are looked through
POLL_FIRST, POLL_LONGEST = 0.05, 1.0  # seconds
AS_DOCUMENTED = "Write it as the schema of ModelTrained says."
LAST_LOOK = 3.0  # seconds beyond the deadline, to say why nothing came


@dataclass(frozen=True, slots=True)
class Registered:
    """A version as the registry has it.

    `new` is false when the same artifact and metadata were registered before.
    """

    model: str
    model_id: str
    number: int
    semver: str
    stage: str
    new: bool = True
    version: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What was published: the message's id, its model, the artifact's digest ("" without one)."""

    id: str
    model: str
    digest: str
    known: Registered | Refused | None = None


def document(
    model: str,
    run: Run | None = None,
    *,
    kind: str = "model",
    training: Mapping[str, Any] | None = None,
    signature: Mapping[str, Any] | None = None,
    creator: str = "",
    on_behalf_of: str = "",
    run_url: str = "",
    description: str | None = None,
    owner: str | None = None,
    tier: str | None = None,
    tags: Mapping[str, str] | None = None,
    draft: bool = False,
    version: str = "",
    exact: bool = False,
    base: int | str | None = None,
    parents: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """ModelTrained's data, without the artifact. What is not known stays out: the registry names what is missing.

    Raises Invalid for values that JSON cannot carry (NaN, integers beyond 2^53), and for what is no object
    where one belongs.
    """
    if exact and not version:
        raise Invalid(
            "exact_without_version",
            "`exact` holds for a claimed version or bump, and none is",
            advice="Claim one, too: version (--bump).",
        )
    facts = (run.training() if run else {}) | _object("training", training)
    if facts and creator:
        facts.setdefault("creator", creator)
    facts |= {name: value for name, value in (("on_behalf_of", on_behalf_of), ("run_url", run_url)) if value}
    given: dict[str, Any] = {
        "model": model,
        "kind": kind,
        "draft": draft,
        "description": description,
        "owner": owner,
        "tier": tier,
        "tags": dict(tags) if tags else None,
        "version": {"claim": version, "exact": exact} if version else None,
        "base": base,
        "training": {name: value for name, value in facts.items() if value is not None} or None,
        "signature": _object("signature", signature) or (run.signature if run else None),
        "parents": _objects("parents", parents) or None,
    }
    data: dict[str, Any] = plain({name: value for name, value in given.items() if value is not None})
    check_exact(data)
    return data


def _object(what: str, given: Any) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise Invalid("no_object", f"`{what}` is no object but {type(given).__name__}", advice=AS_DOCUMENTED)
    return dict(given or {})


def _objects(what: str, given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given):
        raise Invalid("no_objects", f"`{what}` is no list of objects", advice=AS_DOCUMENTED)
    return [dict(one) for one in given]


async def upload(transport: Transport, path: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Sends the artifact's files, hashing while sending; answers ModelTrained's `artifact`.

    Raises Damaged when the service got other bytes.
    """
    entries: list[FileEntry] = []
    location = ""
    for name, file in files_of(path).items():
        stream = HashingStream(file, name, progress)
        query = {"name": name, "upload": location or None}
        answer = (await transport.upload("artifact", "/uploads", query, stream, stream.total)).body
        if (answer["sha256"].removeprefix("sha256:"), answer["size"]) != (stream.sha256, stream.size):
            raise Damaged(
                "upload_altered",
                f"the service received other bytes of {name} than were sent",
                advice="Publish again.",
            )
        location = location or str(answer["location"])
        entries.append(FileEntry(name, stream.size, stream.sha256))
    made = manifest(entries)
    return {
        "digest": made.digest,
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in made.files],
        "location": location,
    }


def event(
    type_: str, subject: str, data: Mapping[str, Any], key: SigningKey, message_id: str = ""
) -> CloudEvent:
    """The signed CloudEvent of a publisher."""
    message_id = message_id or str(uuid.uuid4())
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    extensions = {"partitionkey": subject, "correlationid": message_id}
    unsigned = CloudEvent(
        message_id,
        f"/publishers/{key.subject}",
        type_,
        subject,
        now,
        msgspec.json.encode(data),
        extensions=extensions,
    )
    return sign(unsigned, key)


async def register(transport: Transport, data: Mapping[str, Any]) -> Registered | Refused:
    """Registers over HTTP. A refusal is a result, too."""
    model = str(data["model"])
    try:
        answer = await transport.call("POST", "registry", f"/models/{quote(model)}/versions", body=data)
    except RegistaError as e:
        if "problems" in e.facts:
            return refused(model, e.facts["problems"], e.facts)
        raise
    return registered(answer.body, new=answer.status == 201)


def registered(body: Mapping[str, Any], *, new: bool = True) -> Registered:
    """Reads the registry's version object."""
    return Registered(
        str(body["model"]),
        str(body.get("model_id", "")),
        int(body["number"]),
        str(body.get("semver") or ""),
        str(body.get("stage") or ""),
        new,
        dict(body),
    )


def refused(model: str, problems: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> Refused:
    """Reads the registry's list of problems."""
    return Refused(
        model, [Problem(str(p.get("field", "")), str(p.get("problem", ""))) for p in problems], facts
    )


async def outcome(transport: Transport, told: Told, seconds: float) -> Registered:
    """Waits until the registry has answered the message; while it is away, too.

    Raises Refused, DeadLettered, and TimedOut after `seconds`.
    """
    found = told.known
    if found is None:
        try:
            async with asyncio.timeout(seconds):
                found = await _looked_up(transport, told)
        except TimeoutError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_LOOK):
                    await _look_among_dead_letters(transport, told)
            advice = "Wait again. If it stays so, an admin looks for it with `regista dlq list registry`."
            raise TimedOut(
                "no_outcome_yet",
                f"message {told.id} for {told.model} has no outcome after {seconds:.0f} s",
                advice=advice,
            ) from None
    if isinstance(found, Refused):
        raise found
    return found


async def _looked_up(transport: Transport, told: Told) -> Registered | Refused:
    pause, asked = POLL_FIRST, False
    while True:
        with contextlib.suppress(Unavailable):
            if found := await look_up(transport, told):
                return found
        if pause >= POLL_LONGEST and not asked:
            asked = True
            await _look_among_dead_letters(transport, told)
        await asyncio.sleep(pause)
        pause = min(POLL_LONGEST, pause * 1.5)


async def _look_among_dead_letters(transport: Transport, told: Told) -> None:
    """Raises DeadLettered when the message lies there. Whoever may not look there learns nothing."""
    try:
        letters = (
            await transport.call("GET", "registry", "/dlq", query={"topic": TOPIC, "limit": DEAD_LETTERS})
        ).body["items"]
        for letter in letters:
            if letter.get("subject") == told.model:
                shown = (await transport.call("GET", "registry", f"/dlq/{quote(letter['id'])}")).body
                if shown["headers"].get("ce_id") == told.id:
                    raise DeadLettered(
                        "dead_lettered",
                        f"message {told.id} for {told.model} was not taken: {letter['reason']}",
                        facts=letter,
                    )
    except (Forbidden, NotFound, Unavailable, Unauthorized):
        return


async def look_up(transport: Transport, told: Told) -> Registered | Refused | None:
    """What the registry made of a message, None while it has not seen it."""
    try:
        query = {"model": told.model, "artifact_digest": told.digest or None}
        said = (await transport.call("GET", "registry", f"/publications/{quote(told.id)}", query=query)).body
    except NotFound:
        return None
    if said["state"] == "refused":
        return refused(told.model, said.get("problems", ()), said)
    return registered(said, new=said["state"] != "existing")
