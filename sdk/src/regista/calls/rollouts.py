"""Rollouts: which versions serve in an environment. Answers are the service's JSON."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from regista.calls.requests import Json, Requests, at, given, in_path
from regista.client.transport import Transport
from regista.errors import RuleBroken
from regista.shapes.registry import EntryAnswer, NewEntry, Resolved, RolloutAnswer, RouteAnswer
from regista.wire.routing import pick


class RolloutCalls(Requests):
    """Read and change which versions serve."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._rollouts: dict[tuple[str, str], tuple[float, RolloutAnswer]] = {}
        """The rollouts that `route` read, and when."""

    async def rollout(self, model: str, environment: str = "production") -> RolloutAnswer:
        """Return which versions serve in an environment, with the rollout's `revision`."""
        return await self._get(RolloutAnswer, "registry", _path(model, environment))

    async def change_rollout(
        self,
        model: str,
        entries: Sequence[NewEntry | Mapping[str, Any]],
        environment: str = "production",
        reason: str = "",
        *,
        expected: int | None = None,
        from_number: int | None = None,
    ) -> RolloutAnswer:
        """Replace the rollout in one step, and return it.

        `entries` are objects {number, percent, role}; the percents sum to 100. `expected` is the `revision`
        of the rollout that you read, 0 where no version ever served, and `from_number` the champion that you
        saw, 0 for none: the call raises Stale if the rollout changed since. Without both the last writer
        wins.
        """
        body = {"entries": [dict(e) for e in entries], "reason": reason, **given(from_number=from_number)}
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
        from_number: int | None = None,
        dry_run: bool = False,
    ) -> RolloutAnswer:
        """Roll back, and return the rollout.

        While several versions serve, the champion gets all requests. When one serves alone, the rollback goes
        to what served before it, or to `to_number`, which was champion there before. A version with a
        schema that does not serve today's callers needs `even_if_incompatible`. `expected` is the
        `revision` of the rollout that you read, `from_number` the champion that you saw: the call raises
        Stale if the rollout changed since. Without both the last writer wins. With `dry_run` the call returns
        the rollout as it would be, and changes nothing.
        """
        body = {
            "reason": reason,
            "to_number": to_number,
            "even_if_incompatible": even_if_incompatible,
            "dry_run": dry_run,
            **given(from_number=from_number),
        }
        path = f"{_path(model, environment)}:rollback"
        return await self._changed(path, body, expected, model, environment)

    async def stop_rollout(
        self,
        model: str,
        reason: str,
        environment: str = "production",
        *,
        expected: int | None = None,
        from_number: int | None = None,
    ) -> RolloutAnswer:
        """Stop the rollout, and return it: no version serves any more, and clients get `rollout_stopped`.

        `expected` and `from_number` are as in `rollback`.
        """
        body = {"reason": reason, **given(from_number=from_number)}
        return await self._changed(f"{_path(model, environment)}:stop", body, expected, model, environment)

    async def _changed(
        self, path: str, body: Json, expected: int | None, model: str, environment: str
    ) -> RolloutAnswer:
        return await self._change(
            RolloutAnswer,
            "POST",
            "registry",
            path,
            body,
            expected,
            what=f"the rollout of {model} in {environment}",
            shown=_shares,
            read=_path(model, environment),
        )

    async def resolve(self, model: str, alias: str = "production") -> Resolved:
        """Return the version that an alias names, or the champion of an environment."""
        return await self._get(Resolved, "registry", f"/resolve/{in_path(model)}@{quote(alias)}")

    async def route(
        self, model: str, environment: str = "production", key: str = "", *, max_age: float = 5.0
    ) -> RouteAnswer:
        """Return the version that serves a request, with its role and the conditions of its approvals.

        The choice is made here, from a rollout that is at most `max_age` seconds old, by the same hash as in
        the service (docs/routing.md): the same `key` gets the same version while the shares stay. Without a
        key each call draws again. Raises RuleBroken with the code `version_withdrawn` when the version must
        not be loaded, and `rollout_stopped` when no version serves.
        """
        now = time.monotonic()
        known = self._rollouts.get((model, environment))
        if known is None or now - known[0] > max_age:
            known = self._rollouts[model, environment] = (now, await self.rollout(model, environment))
        return routed(known[1], key or secrets.token_hex(8))


class _Entry(NamedTuple):
    number: int
    percent: int
    shown: EntryAnswer


def routed(rollout: RolloutAnswer, key: str) -> RouteAnswer:
    """Return the version of a rollout that serves the request of this key. Raises RuleBroken."""
    model, environment = rollout["model"], rollout["environment"]
    entries = [_Entry(e["number"], e["percent"], e) for e in rollout["entries"]]
    if not entries:
        raise RuleBroken(
            "rollout_stopped",
            f"the rollout of {model} in {environment} is stopped: no version serves there",
            advice=_from_nothing(rollout),
        )
    entry = pick(entries, key).shown
    if entry.get("withdrawn"):
        raise RuleBroken(
            "version_withdrawn",
            f"{model}@{entry['number']} serves in {environment} and was withdrawn: {entry['withdrawn']}",
            advice=f"Roll back (`regista rollback {model} -e {environment}`), or stop the rollout "
            f"(`regista rollout stop {model} -e {environment}`).",
            facts={"number": entry["number"]},
        )
    return {
        "model_id": rollout["model_id"],
        "model": model,
        "environment": environment,
        "number": entry["number"],
        "semver": entry["semver"],
        "conditions": entry.get("conditions", []),
        "role": entry["role"],
    }


def _from_nothing(rollout: RolloutAnswer) -> str:
    """Return how a version serves again where none does."""
    model, environment = rollout["model"], rollout["environment"]
    served = [one["number"] for one in rollout.get("previous") or () if one["role"] == "champion"]
    back = f"`regista rollback {model} -e {environment} --to {served[0]}`" if served else "`regista rollback`"
    return (
        f"Roll back to a version that served before ({back}), or switch to a promoted one "
        "(`regista rollout switch`)."
    )


def _path(model: str, environment: str) -> str:
    return f"{at(model)}/rollouts/{quote(environment)}"


def _shares(rollout: Mapping[str, Any]) -> str:
    entries = rollout.get("entries") or ()
    return (
        ", ".join(f"{e['number']} ({e['role']}, {e['percent']:g} %)" for e in entries) or "no version serves"
    )
