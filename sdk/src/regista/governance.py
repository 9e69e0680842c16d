"""Promotion, reviews, policies, rollouts: who decides what goes to Production.

Answers are the service's JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from regista.catalogue import Json, Operations, at, split
from regista.errors import NotFound


class Governance(Operations):
    """Promotion and rollout."""

    async def promote(self, reference: str, environment: str = "production", reason: str = "") -> Json:
        """Asks for promotion; the answer names the promotion. Reviews may follow."""
        return await self._act(reference, "promote", {"environment": environment, "reason": reason})

    async def reject_version(self, reference: str, reason: str) -> Json:
        """Ends a version's way: it never goes to Production."""
        return await self._act(reference, "reject", {"reason": reason})

    async def recall(self, reference: str, reason: str) -> Json:
        """Takes a version back wherever it is: nobody shall use it any more."""
        return await self._act(reference, "recall", {"reason": reason})

    async def hold(self, reference: str, reason: str) -> Json:
        """Places a legal hold: cleanup will not touch the version."""
        return await self._act(reference, "hold", {"reason": reason})

    async def release_hold(self, reference: str, reason: str) -> Json:
        """Releases the legal hold."""
        return await self._act(reference, "release-hold", {"reason": reason})

    async def _act(self, reference: str, action: str, body: Json) -> Json:
        return dict(await self._send("POST", "registry", f"{at(*split(reference))}:{action}", body) or {})

    async def gates(self, model: str, number: int) -> Json:
        """What each gate said about a version, and what must arrive before the gates can be asked."""
        return dict(await self._get("approval", f"{at(model, str(number))}/gates"))

    async def evaluate_gates(self, model: str, number: int) -> Json:
        """Asks the gates again."""
        return dict(await self._send("POST", "approval", f"{at(model, str(number))}/gates:evaluate"))

    async def promotion(self, promotion_id: str) -> Json:
        """What became of a promotion: open, granted, denied or refused, and why.

        NotFound until approval has heard of it.
        """
        return dict(await self._get("approval", f"/promotions/{quote(promotion_id)}"))

    async def reviews(
        self, state: str | None = "open", model: str | None = None, limit: int | None = None
    ) -> list[Json]:
        """Reviews by state (None: all)."""
        return await self._all("approval", "/reviews", limit, state=state, model=model)

    async def review(self, review_id: str) -> Json:
        """One review with the evidence shown."""
        return dict(await self._get("approval", f"/reviews/{quote(review_id)}"))

    async def approve(
        self, review_id: str, comment: str = "", conditions: Sequence[str] = (), *, revision: int
    ) -> Json:
        """Approves what the review showed at `revision` (of `review`, where it was read); fails with Stale when that changed since."""
        return await self._judge(
            review_id, "approve", {"comment": comment, "conditions": list(conditions)}, revision
        )

    async def reject(self, review_id: str, reason: str, *, revision: int) -> Json:
        """Rejects what the review showed at `revision`, with a reason; fails with Stale when that changed since."""
        return await self._judge(review_id, "reject", {"reason": reason}, revision)

    async def comment(self, review_id: str, comment: str) -> Json:
        """Says something without deciding."""
        return await self._judge(review_id, "comment", {"comment": comment})

    async def look_back(self, review_id: str, *, justified: bool, comment: str = "") -> Json:
        """The after-review of a break-glass grant."""
        return await self._judge(review_id, "review-override", {"justified": justified, "comment": comment})

    async def _judge(self, review_id: str, action: str, body: Json, revision: int | None = None) -> Json:
        seen = "" if revision is None else f'"{revision}"'
        return dict(
            await self._send("POST", "approval", f"/reviews/{quote(review_id)}:{action}", body, seen) or {}
        )

    async def override(self, promotion_id: str, reason: str) -> Json:
        """Break-glass: promotes past the gates; opens an after-review."""
        return dict(
            await self._send(
                "POST", "approval", f"/promotions/{quote(promotion_id)}:override", {"reason": reason}
            )
            or {}
        )

    async def policies(self) -> list[Json]:
        """The policies in force."""
        return await self._all("approval", "/policies")

    async def policy(self, name: str) -> Json:
        """One policy."""
        return dict(await self._get("approval", f"/policies/{quote(name)}"))

    async def publish_policy(self, name: str, policy: Mapping[str, Any]) -> Json:
        """Publishes a new revision of a policy."""
        path = f"/policies/{quote(name)}"
        return dict(
            await self._send(
                "PUT", "approval", path, dict(policy), await self._etag_or_none("approval", path)
            )
            or {}
        )

    async def rollout(self, model: str, environment: str = "production") -> Json:
        """Who serves in an environment."""
        return dict(await self._get("registry", _rollout(model, environment)))

    async def change_rollout(
        self,
        model: str,
        entries: Sequence[Mapping[str, Any]],
        environment: str = "production",
        reason: str = "",
    ) -> Json:
        """Sets who serves: entries {number, percent, role}; percents sum to 100. One atomic change."""
        path = _rollout(model, environment)
        body = {"entries": [dict(e) for e in entries], "reason": reason}
        return dict(
            await self._send(
                "POST", "registry", path, body, await self._etag_or_none("registry", path) or "*"
            )
        )

    async def rollback(
        self,
        model: str,
        reason: str,
        environment: str = "production",
        *,
        to_number: int | None = None,
        even_if_incompatible: bool = False,
    ) -> Json:
        """Back to what served before, or to `to_number`; past a signature that does not serve today's callers only when told so."""
        body = {"reason": reason, "to_number": to_number, "even_if_incompatible": even_if_incompatible}
        return dict(await self._send("POST", "registry", f"{_rollout(model, environment)}:rollback", body))

    async def _etag_or_none(self, service: str, path: str) -> str:
        try:
            return await self._etag(service, path)
        except NotFound:
            return ""


def _rollout(model: str, environment: str) -> str:
    return f"{at(model)}/rollouts/{quote(environment)}"
