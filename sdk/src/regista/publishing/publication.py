"""Publish a version: upload the artifact, build and sign ModelTrained, wait for the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from regista import html
from regista.choices import Kind, Tier
from regista.client.transport import Transport
from regista.errors import (
    DeadLettered,
    Invalid,
    NotFound,
    Problem,
    Refused,
    RegistaError,
    TimedOut,
    Unavailable,
)
from regista.former_names import warn_of
from regista.publishing.contract import argument_of
from regista.publishing.json_values import check_exact, json_value
from regista.publishing.tracking import Run
from regista.shapes.registry import Parent, Signature, Training
from regista.wire.cloudevents import CloudEvent
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from regista.wire.names import LONGEST_NAME, may_exist

MODEL_TRAINED = "regista.ModelTrained.v1"
TOPIC = "regista.training.v1"
POLL_FIRST, POLL_LONGEST = 0.05, 1.0  # seconds
AS_DOCUMENTED = "Write it as in the schema of ModelTrained."


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry.

    `new` is False when the same artifact and metadata were registered before. `version` is the service's
    JSON.
    """

    model: str
    model_id: str
    number: int
    semver: str
    stage: str
    new: bool = True
    version: dict[str, Any] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        """Return the version as a table, for notebooks."""
        known = {"model": self.model, "number": self.number, "semver": self.semver, "stage": self.stage}
        return html.version({**self.version, **known})


@dataclass(frozen=True, slots=True)
class TrainedMessage:
    """A published ModelTrained: its id ("" over HTTP), its model, and the artifact's digest ("" without one).

    `outcome` is set over HTTP, and None on Kafka. `publisher` is the subject of the key that signed the
    message ("" over HTTP): it may be another one than the subject of the API key. `topic` is where it went.
    """

    id: str
    model: str
    digest: str
    outcome: Registered | Refused | None = None
    publisher: str = ""
    topic: str = TOPIC


def _check_name(model: str) -> None:
    """Raise Invalid for what no model can be named."""
    if not may_exist(model):
        raise Invalid(
            "invalid_name",
            f"{model!r:.80} cannot be a model's name",
            advice=f"Use at most {LONGEST_NAME} letters, digits, '_' and '-', with dots between namespace "
            "and name, and a letter or digit first in each part.",
        )


def document(
    model: str,
    run: Run | None = None,
    *,
    kind: Kind = "model",
    training: Training | Mapping[str, Any] | None = None,
    schema: Signature | Mapping[str, Any] | None = None,
    signature: Signature | Mapping[str, Any] | None = None,
    creator: str = "",
    on_behalf_of: str = "",
    run_url: str = "",
    description: str | None = None,
    owner: str | None = None,
    tier: Tier | None = None,
    tags: Mapping[str, str] | None = None,
    draft: bool = False,
    version: str = "",
    exact: bool = False,
    compare_with: int | str | None = None,
    base: int | str | None = None,
    parents: Sequence[Parent | Mapping[str, Any]] = (),
    strict: bool = False,
) -> dict[str, Any]:
    """Return ModelTrained's data, without the artifact. The arguments are those of `AsyncClient.publish`.

    Unknown values are left out; the registry names what is missing. Raises Invalid for values that JSON
    cannot represent and for another type where an object belongs, naming the path.
    """
    _check_name(model)
    _check_claim(version, exact=exact)
    facts = _training_of(run) | _object("training", training)
    if facts and creator:
        facts.setdefault("creator", creator)
    facts |= _known(on_behalf_of=on_behalf_of or None, run_url=run_url or None)
    known = _known(
        model=model,
        kind=kind,
        draft=draft,
        description=description,
        owner=owner,
        tier=tier,
        tags=_object("tags", tags) or None,
        version={"claim": version, "exact": exact} if version else None,
        base=_compared(compare_with, base),
        training=_known(**facts) or None,
        signature=_schema(schema, signature) or (run.model_schema if run else None),
        parents=_objects("parents", parents) or None,
        strict=strict or None,
    )
    return _checked(known)


def _schema(schema: Mapping[str, Any] | None, former: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the schema that was given by its name or by its former name `signature`."""
    if former is None:
        return _object("schema", schema)
    if schema is not None:
        detail = "`signature` is the former name of `schema`"
        raise Invalid("two_schemas", detail, advice="Pass `schema` only.")
    warn_of("signature", "schema")
    return _object("signature", former)


def _compared(compare_with: int | str | None, former: int | str | None) -> int | str | None:
    """Return the version to compare with, which was given by its name or by its former name `base`."""
    if former is None:
        if isinstance(compare_with, str) and compare_with.isdecimal():
            return int(compare_with)
        return compare_with
    if compare_with is not None:
        detail = "`base` is the former name of `compare_with`"
        raise Invalid("two_comparisons", detail, advice="Pass `compare_with` only.")
    warn_of("base", "compare_with")
    return former


def _check_claim(version: str, *, exact: bool) -> None:
    if exact and not version:
        detail = "`exact` needs a claimed version or bump"
        raise Invalid("exact_without_version", detail, advice="Claim one, too: version (--bump).")


def _checked(known: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = json_value(known)
    check_exact(data)
    return data


def _training_of(run: Run | None) -> dict[str, Any]:
    if run is not None and not isinstance(run, Run):
        detail = f"`run` must be what regista.capture() returns, not {type(run).__name__}"
        raise Invalid("no_run", detail, advice="Pass a dict as `training`.")
    return run.training() if run else {}


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _object(what: str, given: Any) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise Invalid(
            "no_object", f"`{what}` must be an object, not {type(given).__name__}", advice=AS_DOCUMENTED
        )
    return dict(given or {})


def _objects(what: str, given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given):
        raise Invalid("no_objects", f"`{what}` must be a list of objects", advice=AS_DOCUMENTED)
    return [dict(one) for one in given]


def event(
    type_: str, subject: str, data: Mapping[str, Any], key: SigningKey, message_id: str = ""
) -> CloudEvent:
    """Return a CloudEvent signed with a publisher's key; `subject` is its Kafka key."""
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
    """Register a version over HTTP. A refusal is returned, not raised."""
    model = str(data["model"])
    try:
        answer = await transport.call("POST", "registry", f"/models/{quote(model)}/versions", body=data)
    except RegistaError as e:
        if "problems" in e.facts:
            return refused(model, e.facts["problems"], e.facts)
        raise
    return registered(answer.body, new=answer.status == 201)


def registered(body: Mapping[str, Any], *, new: bool = True) -> Registered:
    """Return the registry's JSON of a version as Registered."""
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
    """Return the registry's list of problems as Refused, with the names of the arguments of `publish`."""
    found = [Problem(argument_of(str(p.get("field", ""))), str(p.get("problem", ""))) for p in problems]
    listed = {"problems": [{"field": p.field, "problem": p.problem} for p in found]}
    return Refused(model, found, {**facts, **listed})


async def outcome(transport: Transport, message: TrainedMessage, seconds: float) -> Registered:
    """Wait until the registry has processed a message, and return the version.

    An unreachable registry counts as no outcome yet. Raises Refused, DeadLettered, and TimedOut after
    `seconds`.
    """
    found = message.outcome
    if found is None:
        try:
            async with asyncio.timeout(seconds):
                found = await _poll(transport, message)
        except TimeoutError:
            raise TimedOut(
                "no_outcome_yet",
                f"message {message.id} for {message.model} has no outcome after {seconds:.0f} s: "
                "the registry has not read it, or your API key may not read the model",
                advice="Wait again. `regista status` shows whether the registry lags behind.",
            ) from None
    if isinstance(found, Refused):
        raise found
    return found


async def _poll(transport: Transport, message: TrainedMessage) -> Registered | Refused:
    pause = POLL_FIRST
    while True:
        with contextlib.suppress(Unavailable):
            if found := await look_up(transport, message):
                return found
        await asyncio.sleep(pause)
        pause = min(POLL_LONGEST, pause * 1.5)


def dead_lettered(message: TrainedMessage, facts: Mapping[str, Any]) -> DeadLettered:
    """Return the error of a message that the registry did not accept."""
    reason = "; ".join(str(p["problem"]) for p in facts.get("problems", ()))
    detail = f"message {message.id} for {message.model} was not accepted ({facts.get('code', '')}): {reason}"
    return DeadLettered("dead_lettered", detail, facts=facts)


async def look_up(transport: Transport, message: TrainedMessage) -> Registered | Refused | None:
    """Return the outcome of a message, None while the registry has not processed it. Raises DeadLettered."""
    query = {
        "model": message.model,
        "artifact_digest": message.digest or None,
        "publisher": message.publisher or None,
    }
    try:
        answer = await transport.call("GET", "registry", f"/publications/{quote(message.id)}", query=query)
    except NotFound:
        return None
    if answer.body["state"] == "dead_lettered":
        raise dead_lettered(message, answer.body)
    if answer.body["state"] == "refused":
        return refused(message.model, answer.body.get("problems", ()), answer.body)
    return registered(answer.body, new=answer.body["state"] != "existing")
