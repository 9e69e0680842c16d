"""Models and versions: what the registry keeps. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from regista.client.transport import Transport
from regista.errors import Invalid

Json = dict[str, Any]
PAGE = 200


class Operations:
    """Calls to the services over one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _get(self, service: str, path: str, **query: Any) -> Any:
        return (await self._transport.call("GET", service, path, query=query)).body

    async def _send(self, method: str, service: str, path: str, body: Any = None, if_match: str = "") -> Any:
        return (await self._transport.call(method, service, path, body=body, if_match=if_match)).body

    async def _etag(self, service: str, path: str) -> str:
        return (await self._transport.call("GET", service, path)).etag

    async def pages(
        self, service: str, path: str, limit: int | None = None, **query: Any
    ) -> AsyncIterator[Json]:
        """The items of a list, page after page."""
        token, left = "", limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            answer = await self._get(service, path, **query, page_size=size, page_token=token or None)
            for item in answer["items"][:left]:
                yield item
            left = None if left is None else left - len(answer["items"])
            token = answer.get("next_page_token") or ""
            if not token:
                return

    async def _all(self, service: str, path: str, limit: int | None = None, **query: Any) -> list[Json]:
        return [item async for item in self.pages(service, path, limit, **query)]

    async def _whole(self, service: str, path: str, *lists: str) -> Json:
        """One thing whose lists come in pages, with all that is in them."""
        found = dict(await self._get(service, path, page_size=PAGE))
        while token := found.get("next_page_token"):
            more = await self._get(service, path, page_size=PAGE, page_token=token)
            found |= {name: found[name] + more[name] for name in lists} | {
                "next_page_token": more.get("next_page_token")
            }
        return found


class Catalogue(Operations):
    """Models, versions, evaluations, aliases."""

    async def models(self, /, limit: int | None = None, **filters: Any) -> list[Json]:
        """The models that the caller may see. Filters: kind, owner, tier, search (part of the name)."""
        return await self._all("registry", "/models", limit, **filters)

    async def model(self, model: str) -> Json:
        """One model, by name or id."""
        return dict(await self._get("registry", at(model)))

    async def create_model(self, /, name: str, **facts: Any) -> Json:
        """A model without versions; publishing makes one, too.

        Facts: kind, description, owner, tags, tier.
        """
        return dict(await self._send("POST", "registry", "/models", {"name": name, **_given(facts)}))

    async def edit_model(self, /, model: str, **changes: Any) -> Json:
        """Changes description, owner, tags, tier or name; fails with Stale when somebody else did meanwhile."""
        etag = await self._etag("registry", at(model))
        return dict(await self._send("PATCH", "registry", at(model), _given(changes), etag))

    async def versions(self, /, model: str, limit: int | None = None, **filters: Any) -> list[Json]:
        """The versions of a model, newest first. Filters: stage, artifact_digest, correlation_id."""
        return await self._all("registry", f"{at(model)}/versions", limit, **filters)

    async def trained_on(self, dataset: str, limit: int | None = None) -> list[Json]:
        """The versions, of all models that the caller may see, that were trained on a data set (its name or digest), and where each serves now."""
        return await self._all("registry", "/versions", limit, trained_on=dataset)

    async def version(self, reference: str) -> Json:
        """One version: `model@3`, `model@1.2.0`, `model@production` or `model@alias`."""
        return dict(await self._get("registry", at(*split(reference))))

    async def complete(self, reference: str, metadata: Mapping[str, Any]) -> Json:
        """Adds what a draft lacks (training, signature, artifact, parents)."""
        path = at(*split(reference))
        return dict(
            await self._send("PATCH", "registry", path, dict(metadata), await self._etag("registry", path))
        )

    async def diff(self, model: str, old: str, new: str) -> Json:
        """How two versions of a model differ: schema, code, config, data, metrics."""
        return dict(await self._get("registry", f"{at(model)}/diff", **{"from": old, "to": new}))

    async def evaluate(self, reference: str, evaluation: Mapping[str, Any]) -> Json:
        """Records a metric measured on a named data set: {name, value, dataset_name, dataset_digest, …}."""
        return dict(
            await self._send("POST", "registry", f"{at(*split(reference))}/evaluations", dict(evaluation))
            or {}
        )

    async def refusals(self, /, limit: int | None = None, **filters: Any) -> list[Json]:
        """Registrations that were refused, with their reasons, newest first.

        Filters: model, correlation_id.
        """
        return await self._all("registry", "/refusals", limit, **filters)

    async def resolve(self, model: str, alias: str = "production") -> Json:
        """Which version an alias (or the champion of an environment) is now."""
        return dict(await self._get("registry", f"/resolve/{quote(model)}@{quote(alias)}"))

    async def route(self, model: str, environment: str = "production", key: str = "") -> Json:
        """Which version serves this request: a weighted pick, stable by key."""
        return dict(
            await self._get("registry", f"{at(model)}/route", environment=environment, key=key or None)
        )

    async def aliases(self, model: str) -> list[Json]:
        """The aliases of a model."""
        return list((await self._get("registry", f"{at(model)}/aliases"))["items"])

    async def set_alias(self, model: str, alias: str, number: int, *, protected: bool | None = None) -> Json:
        """Points an alias at a version; `protected`: from now on only admins move or remove it."""
        return dict(
            await self._send(
                "PUT",
                "registry",
                f"{at(model)}/aliases/{quote(alias)}",
                _given({"number": number, "protected": protected}),
            )
        )

    async def remove_alias(self, model: str, alias: str) -> None:
        """Removes an alias."""
        await self._send("DELETE", "registry", f"{at(model)}/aliases/{quote(alias)}")


def at(model: str, version: str = "") -> str:
    """The path of a model or of one of its versions."""
    return f"/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='@')}" if version else "")


def split(reference: str) -> tuple[str, str]:
    """`model@3` → model, `3`; `model@1.2.0` → model, `1.2.0`; any other name is an alias: `@name`.

    Raises Invalid.
    """
    model, found, version = reference.rpartition("@")
    if not found or not model or not version:
        raise Invalid(
            "no_reference",
            f"{reference!r} names no version",
            advice="Write MODEL@VERSION, for example churn@3, churn@1.2.0 or churn@production.",
        )
    return model, version if version[0].isdigit() else f"@{version}"


def _given(facts: Mapping[str, Any]) -> Json:
    return {name: value for name, value in facts.items() if value is not None}
