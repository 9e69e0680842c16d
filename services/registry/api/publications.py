"""The outcome of a message, and the list of refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.registry import queries
from services.registry.api.calls import look_ups, readable
from services.registry.domain.naming.name import is_model_id
from services.registry.shapes.publications import (
    PublicationAnswer,
    PublicationQuery,
    PublisherAnswer,
    PublisherQuery,
    RefusalQuery,
    Refusals,
)
from shared.deciding.access import ANY_ROLE, AccessState, namespace_of, permits
from shared.deciding.decider import Forbidden, NotFound
from shared.http.routes import Call, Reply, Route

MOST_MEANT = 3
"""Names that a refusal suggests."""


async def read_publication(call: Call[None, PublicationQuery]) -> Reply:
    """Return what became of a message. The answer is 404 until the registry has read the message."""
    message, pool, q = call.path["message_id"], call.app.pool, call.query
    publisher = q.publisher or call.actor.subject
    # Read first: a message that was handled by now has its version or refusal in the queries that follow.
    handled = q.model and q.artifact_digest and await pool.fetchval(queries.KNOWN_CAUSE, publisher, message)
    row = await pool.fetchrow(queries.PUBLISHED, message, publisher)
    if row is not None:
        return _version(call, row, "registered" if row["semver"] else "draft")
    refused = await pool.fetchrow(queries.REFUSED, message, publisher)
    if refused is not None:
        if refused["refused_of"] != call.actor.subject and not call.may_read(namespace_of(refused["model"])):
            raise _not_seen()
        return Reply({"state": "refused", "model": refused["model"], "problems": refused["problems"]})
    if handled and q.model:
        model = await look_ups(call).models.find(q.model)
        row = await pool.fetchrow(queries.SAME_BYTES, model.model_id, q.artifact_digest) if model else None
        if row is not None:
            return _version(call, row, "existing")
    return await _dead_lettered(call, publisher, message)


async def _dead_lettered(call: Call[None, PublicationQuery], publisher: str, message: str) -> Reply:
    """Return why the message was dead-lettered, to its signer and to those who may read its model."""
    kept = call.app.dead_letters.refused
    found = await kept.find(f"/publishers/{publisher}", message) if kept is not None else None
    if found is None:
        raise _not_seen()
    if publisher != call.actor.subject and not call.may_read(namespace_of(found.subject)):
        raise _not_seen()
    facts = {"model": found.subject, "code": found.code, "dead_letter": found.dead_letter}
    return Reply({"state": "dead_lettered", **facts, "problems": [{"field": "", "problem": found.reason}]})


def _not_seen() -> NotFound:
    """Return the answer for a message that was not read, or whose model the caller may not read."""
    return NotFound(
        "not_seen",
        "The registry has not read a message with this id from this publisher: wait, or check both.",
    )


def _version(call: Call, row: Any, state: str) -> Reply:
    if not call.may_read(row["namespace"]):
        raise _not_seen()
    shown = {name: value for name, value in row.items() if name != "namespace"}
    return Reply({"state": state, **shown, "semver": row["semver"] or "", "problems": []})


async def check_publisher(call: Call[None, PublisherQuery]) -> PublisherAnswer:
    """Return that the publisher may register versions of the model, before its files are uploaded.

    A model keeps its namespace when it is renamed, so a name alone states where the role is needed. The
    answer about a name is the same whether a model has it or not.
    """
    name, publisher = call.path["model"], call.query.publisher or call.actor.subject
    namespace = (await readable(call, name)).namespace if is_model_id(name) else namespace_of(name)
    identities = call.app.access.identities
    if not permits(identities.state_of(publisher), "publisher", namespace):
        await call.app.access.catch_up()  # a role may have been granted a moment ago
    if publisher != call.actor.subject:
        call.require(ANY_ROLE, namespace)
    if not permits(identities.state_of(publisher), "publisher", namespace):
        raise lacks_role(identities.state_of(publisher), publisher, namespace, name)
    return PublisherAnswer(model=name, namespace=namespace, publisher=publisher)


def lacks_role(state: AccessState, publisher: str, namespace: str, model: str) -> Forbidden:
    """Return that the publisher lacks the role there. A name without a namespace is often a typo.

    `meant` names the model in the namespaces where the publisher has the role.
    """
    where = f"in the namespace {namespace!r}" if namespace else "everywhere (namespace '*')"
    wanted = f"{publisher} needs the role 'publisher' {where} to register this version"
    facts = {"subject": publisher, "role": "publisher", "namespace": namespace}
    if namespace or is_model_id(model):
        return Forbidden("role_missing", f"{wanted}: an admin must grant it.", **facts)
    held = sorted({g.namespace for g in state.grants.values() if permits(state, "publisher", g.namespace)})
    meant = [f"{one}.{model}" for one in held[:MOST_MEANT]]
    advice = (
        f"did you mean {' or '.join(meant)}?" if meant else "write NAMESPACE.NAME, or an admin must grant it."
    )
    return Forbidden(
        "role_missing",
        f"The name {model} has no namespace. {wanted}: {advice}",
        **facts,
        meant=meant,
    )


async def list_refusals(call: Call[None, RefusalQuery]) -> dict[str, Any]:
    q = call.query
    after = q.after(datetime, str, int) or (datetime.max.replace(tzinfo=UTC), "", 0)
    readable = call.readable()
    if q.model and readable is not None:
        model = await look_ups(call).models.find(q.model)
        call.require(ANY_ROLE, model.namespace if model else namespace_of(q.model))
    rows = await call.app.list_rows(
        queries.REFUSALS, *after, readable, q.model, q.correlation_id, q.page_size, search=True
    )
    token = q.next_token(rows, "refused_at", "stream", "revision")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


ROUTES = (
    Route(
        "GET",
        "/v1/models/{model}/publisher",
        check_publisher,
        "Whether a publisher may register versions of a model",
        query=PublisherQuery,
        response=PublisherAnswer,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/publications/{message_id}",
        read_publication,
        "What became of a message",
        query=PublicationQuery,
        response=PublicationAnswer,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/refusals",
        list_refusals,
        "Refused registrations, newest first",
        query=RefusalQuery,
        response=Refusals,
        tags=["versions"],
    ),
)
