"""Models and their aliases. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from regista.calls.requests import PAGE, Requests, at, given, summary, tag_conditions
from regista.choices import Kind, Tier
from regista.shapes.registry import AliasAnswer, ModelAnswer, Models

_MODEL = summary("model", "owner", "tier", "description", "tags")


class ModelCalls(Requests):
    """List, create and change models and their aliases."""

    async def models(
        self,
        limit: int | None = None,
        *,
        kind: Kind | None = None,
        owner: str | None = None,
        tier: Tier | None = None,
        search: str | None = None,
        tags: Iterable[str] | Mapping[str, str] = (),
    ) -> list[ModelAnswer]:
        """Return the models that the caller may read, by name, at most `limit`.

        `search` is a part of the name; `owner` is a subject, for example `team:risk`; `tags` are names with
        their values, or a list of `NAME=VALUE` and `NAME` (any value), all of which a model must have.
        """
        tag = tag_conditions(tags) or None
        filters = given(kind=kind, owner=owner, tier=tier, search=search, tag=tag)
        return await self._all(ModelAnswer, "registry", "/models", limit, **filters)

    async def models_at(self, at_time: str, limit: int | None = None) -> Models:
        """Return the models that there were at a time, or at the end of a day, as they were; at most `limit`.

        `too_long` names those with too many events to show what they were.
        """
        items: list[ModelAnswer] = []
        too_long: list[str] = []
        token = ""
        while limit is None or len(items) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(items))
            more = given(as_of=at_time, page_size=size, page_token=token or None)
            page = await self._get(Models, "registry", "/models", **more)
            items += page["items"]
            too_long += page["too_long"]
            token = page["next_page_token"]
            if not token:
                break
        return {"items": items, "too_long": too_long, "next_page_token": token}

    async def model(self, model: str, at_time: str | None = None) -> ModelAnswer:
        """Return one model, by name or id, with its `revision`; with a time, or a day, as it was then."""
        return await self._get(ModelAnswer, "registry", at(model), as_of=at_time)

    async def create_model(
        self,
        name: str,
        *,
        kind: Kind | None = None,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str] | None = None,
        tier: Tier | None = None,
    ) -> ModelAnswer:
        """Create a model without versions, and return it. `publish` creates a missing model, too."""
        body = given(name=name, kind=kind, description=description, owner=owner, tags=tags, tier=tier)
        return await self._send(ModelAnswer, "POST", "registry", "/models", body)

    async def edit_model(
        self,
        model: str,
        *,
        name: str | None = None,
        description: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        tier: Tier | None = None,
        expected: int | None = None,
    ) -> ModelAnswer:
        """Change a model and return it; None leaves a field as it is, and an empty `description` clears it.

        `tags` adds tags or changes their values, and removes those whose value is None; other tags stay.

        `expected` is the `revision` of the model that you read: the call raises Stale if the model changed
        since. Without it the last writer wins.
        """
        body = given(name=name, description=description, owner=owner, tags=tags, tier=tier)
        return await self._change(
            ModelAnswer,
            "PATCH",
            "registry",
            at(model),
            body,
            expected,
            what=f"the model {model}",
            shown=_MODEL,
        )

    async def aliases(self, model: str) -> list[AliasAnswer]:
        """Return the aliases of a model."""
        return await self._items(AliasAnswer, "registry", f"{at(model)}/aliases")

    async def set_alias(
        self, model: str, alias: str, number: int, *, protected: bool | None = None
    ) -> AliasAnswer:
        """Point an alias at a version. Only admins move or remove a `protected` alias."""
        body = given(number=number, protected=protected)
        return await self._send(AliasAnswer, "PUT", "registry", _alias(model, alias), body)

    async def remove_alias(self, model: str, alias: str) -> None:
        """Remove an alias."""
        await self._delete("registry", _alias(model, alias))


def _alias(model: str, alias: str) -> str:
    return f"{at(model)}/aliases/{quote(alias)}"
