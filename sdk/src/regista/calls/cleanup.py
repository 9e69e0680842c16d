"""Cleanup: runs, retention policies and usage. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload
from urllib.parse import quote

from regista.calls.requests import Requests, in_path, model_alone
from regista.former_names import former
from regista.shapes.cleanup import (
    CleanupRun,
    CleanupRunAccepted,
    CleanupRunShown,
    Default,
    DefaultChanged,
    PolicyInput,
    Retention,
    RetentionChanged,
    Simulation,
    Usage,
)


class CleanupCalls(Requests):
    """Plan and read cleanups, set how long versions are kept."""

    @overload
    async def clean_up(
        self,
        model: str = "",
        *,
        dry_run: Literal[True],
        policy: PolicyInput | Mapping[str, Any] | None = None,
        namespace: str = "",
    ) -> Simulation: ...

    @overload
    async def clean_up(self, model: str = "", *, dry_run: Literal[False]) -> CleanupRunAccepted: ...

    async def clean_up(
        self,
        model: str = "",
        *,
        dry_run: bool,
        policy: PolicyInput | Mapping[str, Any] | None = None,
        namespace: str = "",
    ) -> CleanupRunAccepted | Simulation:
        """Plan a cleanup of all models or of one.

        With `dry_run` the call returns the plan (under `policy`, if given) and marks no version; `namespace`
        limits the plan to the models below it.
        """
        body = {"dry_run": dry_run, "model": model_alone(model), "namespace": namespace}
        body |= {} if policy is None else {"policy": dict(policy)}
        shape: type[CleanupRunAccepted | Simulation] = Simulation if dry_run else CleanupRunAccepted
        return await self._send(shape, "POST", "cleanup", "/cleanup-runs", body, long=True)

    async def cleanup_runs(self, limit: int | None = None) -> list[CleanupRun]:
        """Return past cleanups, newest first, at most `limit`."""
        return await self._all(CleanupRun, "cleanup", "/cleanup-runs", limit)

    async def cleanup_run(
        self, cleanup_run_id: str, verdict: str = "", page_token: str = ""
    ) -> CleanupRunShown:
        """Return one page of a cleanup: each version kept or marked, and why.

        `verdict`: marked, spared, proposed, retired or refused.
        """
        query = {"verdict": verdict or None, "page_token": page_token or None}
        return await self._get(CleanupRunShown, "cleanup", f"/cleanup-runs/{quote(cleanup_run_id)}", **query)

    sweep = former("sweep", clean_up)
    sweeps = former("sweeps", cleanup_runs)
    sweep_plan = former("sweep_plan", cleanup_run)

    async def retention(self, model: str) -> Retention:
        """Return the retention policy of a model with its `revision`, and the standing of each version."""
        return await self._whole(Retention, "cleanup", _retention(model), "versions")

    async def set_retention(
        self,
        model: str,
        policy: PolicyInput | Mapping[str, Any],
        *,
        expected: int | None = None,
        reason: str = "",
    ) -> RetentionChanged:
        """Replace the retention policy of a model.

        `expected` is the `revision` of the policy that you read (0 for the default policy): the call raises
        Stale if the policy changed since. Without it the last writer wins.
        """
        return await self._change(
            RetentionChanged,
            "PUT",
            "cleanup",
            _retention(model),
            dict(policy),
            expected,
            what=f"the retention policy of {model}",
            shown=_policy,
            query={"reason": reason or None},
        )

    async def remove_retention(
        self, model: str, *, expected: int | None = None, reason: str = ""
    ) -> RetentionChanged:
        """Remove the model's own retention policy, so that it inherits one. `expected` as above."""
        return await self._change(
            RetentionChanged,
            "DELETE",
            "cleanup",
            _retention(model),
            None,
            expected,
            what=f"the retention policy of {model}",
            shown=_policy,
            query={"reason": reason or None},
        )

    async def retention_defaults(self) -> list[Default]:
        """Return the policies that models without one of their own inherit, by namespace ("*": all)."""
        return await self._items(Default, "cleanup", "/retention-defaults")

    async def set_default_retention(
        self,
        namespace: str,
        policy: PolicyInput | Mapping[str, Any] | None,
        *,
        expected: int | None = None,
        reason: str = "",
    ) -> DefaultChanged:
        """Set the policy that the models of a namespace inherit ("*": all models); None removes it.

        `expected` is the `revision` that you read (0 where there was none): the call raises Stale if the
        default changed since. Without it the last writer wins.
        """
        return await self._change(
            DefaultChanged,
            "DELETE" if policy is None else "PUT",
            "cleanup",
            f"/retention-defaults/{quote(namespace, safe='')}",
            None if policy is None else dict(policy),
            expected,
            what=f"the retention default of {namespace}",
            shown=_policy,
            read="/retention-defaults",
            query={"reason": reason or None},
        )

    async def usage(self, model: str) -> Usage:
        """Return how often the versions of a model were used, in all and by day."""
        return await self._whole(Usage, "cleanup", f"/usage/{in_path(model)}", "versions", "days")


def _retention(model: str) -> str:
    return f"/retention/{in_path(model)}"


def _policy(retention: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in (retention.get("policy") or {}).items())
