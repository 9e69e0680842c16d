"""Rollouts: which versions serve in an environment. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from regista.calls.requests import Json, Requests, at


class RolloutCalls(Requests):
    """Read and change which versions serve."""

    async def rollout(self, model: str, environment: str = "production") -> Json:
        """Return which versions serve in an environment, with the rollout's `revision`."""
        return dict(await self._get("registry", _path(model, environment)))

    async def change_rollout(
        self,
        model: str,
        entries: Sequence[Mapping[str, Any]],
        environment: str = "production",
        reason: str = "",
        *,
        expected: int | None = None,
    ) -> Json:
        """Replace the rollout in one step, and return it.

        `entries` are objects {number, percent, role}; the percents sum to 100. `expected` is the `revision`
        of the rollout that you read, 0 where no version serves: the call raises Stale if the rollout changed
        since. Without it the last writer wins.
        """
        body = {"entries": [dict(e) for e in entries], "reason": reason}
        return await self._changed(_path(model, environment), body, expected, model, environment)

    async def rollback(
        self,
        model: str,
        reason: str,
        environment: str = "production",
        *,
        to_number: int | None = None,
        even_if_incompatible: bool = False,
        expected: int | None = None,
    ) -> Json:
        """Roll back to the version that served before, or to `to_number`, and return the rollout.

        A version with a signature that does not serve today's callers needs `even_if_incompatible`.
        `expected` is the `revision` of the rollout that you read: the call raises Stale if the rollout
        changed since. Without it the last writer wins.
        """
        body = {"reason": reason, "to_number": to_number, "even_if_incompatible": even_if_incompatible}
        path = f"{_path(model, environment)}:rollback"
        return await self._changed(path, body, expected, model, environment)

    async def _changed(
        self, path: str, body: Json, expected: int | None, model: str, environment: str
    ) -> Json:
        return await self._change(
            "POST",
            "registry",
            path,
            body,
            expected,
            what=f"the rollout of {model} in {environment}",
            shown=_shares,
            read=_path(model, environment),
        )

    async def resolve(self, model: str, alias: str = "production") -> Json:
        """Return the version that an alias names, or the champion of an environment."""
        return dict(await self._get("registry", f"/resolve/{quote(model)}@{quote(alias)}"))

    async def route(self, model: str, environment: str = "production", key: str = "") -> Json:
        """Return the version that serves a request: a weighted choice, the same for the same `key`."""
        query = {"environment": environment, "key": key or None}
        return dict(await self._get("registry", f"{at(model)}/route", **query))


def _path(model: str, environment: str) -> str:
    return f"{at(model)}/rollouts/{quote(environment)}"


def _shares(rollout: Mapping[str, Any]) -> str:
    return ", ".join(f"{e['number']} ({e['role']}, {e['percent']:g} %)" for e in rollout.get("entries") or ())
