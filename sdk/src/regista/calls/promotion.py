"""Promotion: gates, reviews, break-glass overrides and policies. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from regista.calls.requests import Json, Requests, at, given, model_and_version, summary
from regista.shapes import registry
from regista.shapes.approval import (
    AdoptionBody,
    GatesAnswer,
    PolicyAnswer,
    PolicyBody,
    PolicyPreview,
    PromotionAnswer,
    ReviewAnswer,
    ReviewListed,
)

_POLICY = summary("digest", "active")


class PromotionCalls(Requests):
    """Promote versions, decide on reviews, publish policies."""

    async def promote(
        self, reference: str, environment: str = "production", reason: str = "", *, serve: bool = False
    ) -> registry.PromotionAnswer:
        """Request the promotion of a version; the answer has its `promotion_id`. Reviews may follow.

        A grant switches no requests. With `serve` it gives the version all requests; the service refuses that
        where a version serves already.
        """
        body = {"environment": environment, "reason": reason, **({"serve": True} if serve else {})}
        return await self._send(
            registry.PromotionAnswer, "POST", "registry", f"{at(*model_and_version(reference))}:promote", body
        )

    async def promotion(self, promotion_id: str) -> PromotionAnswer:
        """Return a promotion: open, granted (and not carried out yet), promoted, spent or refused, and why.

        Raises NotFound until the service approval has received the request.
        """
        return await self._get(PromotionAnswer, "approval", f"/promotions/{quote(promotion_id)}")

    async def override(
        self, promotion_id: str, reason: str, *, adopts: AdoptionBody | None = None
    ) -> PromotionAnswer:
        """Grant a promotion past its gates (break-glass override). It opens a mandatory after-review.

        `adopts`: what serves in another registry and is taken over by it. That needs the role admin, too.
        """
        path = f"/promotions/{quote(promotion_id)}:override"
        body = {"reason": reason, **({"adopts": adopts} if adopts else {})}
        return await self._send(PromotionAnswer, "POST", "approval", path, body)

    async def gates(self, model: str, number: int) -> GatesAnswer:
        """Return the result of each gate for a version, and what the gates still wait for."""
        return await self._get(GatesAnswer, "approval", f"{at(model, str(number))}/gates")

    async def evaluate_gates(self, model: str, number: int) -> GatesAnswer:
        """Evaluate the gates of a version again, and return their results."""
        return await self._send(GatesAnswer, "POST", "approval", f"{at(model, str(number))}/gates:evaluate")

    async def reviews(
        self,
        state: str | None = "open",
        model: str | None = None,
        limit: int | None = None,
        *,
        mine: bool = False,
        id_prefix: str | None = None,
    ) -> list[ReviewListed]:
        """Return the reviews in a state, or with None all, at most `limit`.

        `mine`: only those that you may decide. `id_prefix`: only those whose id begins so.
        """
        wanted = {"state": state, "model": model, "mine": mine or None, "id_prefix": id_prefix}
        return await self._all(ReviewListed, "approval", "/reviews", limit, **wanted)

    async def review(self, review_id: str) -> ReviewAnswer:
        """Return one review with its evidence and its `revision`."""
        return await self._get(ReviewAnswer, "approval", f"/reviews/{quote(review_id)}")

    async def approve(
        self,
        review_id: str,
        comment: str = "",
        conditions: Sequence[str] = (),
        *,
        revision: int,
        accepts: Sequence[str] = (),
    ) -> ReviewAnswer:
        """Approve what the review showed at `revision`. Raises Stale if the review changed since.

        `accepts`: the gates whose result each approver must accept by name (`summary.accept` of the review).
        """
        body = {"comment": comment, "conditions": list(conditions), "accepts": list(accepts)}
        return await self._decide(review_id, "approve", body, revision)

    async def reject(self, review_id: str, reason: str, *, revision: int) -> ReviewAnswer:
        """Reject what the review showed at `revision`. Raises Stale if the review changed since."""
        return await self._decide(review_id, "reject", {"reason": reason}, revision)

    async def comment(self, review_id: str, comment: str) -> ReviewAnswer:
        """Comment on a review without a decision."""
        return await self._send(
            ReviewAnswer, "POST", "approval", f"{_review(review_id)}:comment", {"comment": comment}
        )

    async def review_override(self, review_id: str, *, justified: bool, comment: str = "") -> ReviewAnswer:
        """Close the after-review of a break-glass override: the override was justified, or not."""
        body = {"justified": justified, "comment": comment}
        return await self._send(
            ReviewAnswer, "POST", "approval", f"{_review(review_id)}:review-override", body
        )

    async def _decide(self, review_id: str, action: str, body: Json, revision: int) -> ReviewAnswer:
        return await self._change(
            ReviewAnswer,
            "POST",
            "approval",
            f"{_review(review_id)}:{action}",
            body,
            revision,
            what=f"the review {review_id}",
            shown=summary("state", "needs", "approvers"),
            read=_review(review_id),
        )

    async def policies(self) -> list[PolicyAnswer]:
        """Return the policies in force."""
        return await self._all(PolicyAnswer, "approval", "/policies")

    async def policy(self, name: str) -> PolicyAnswer:
        """Return one policy with its `revision`."""
        return await self._get(PolicyAnswer, "approval", f"/policies/{quote(name)}")

    async def publish_policy(
        self,
        name: str,
        policy: PolicyBody | Mapping[str, Any],
        *,
        expected: int | None = None,
        reason: str = "",
    ) -> PolicyAnswer:
        """Publish a revision of a policy, and return the policy.

        A revision by which the policies require less is only proposed where there is a second admin: the
        answer then has a `proposal`, which `confirm_policy` publishes.

        `expected` is the `revision` of the policy that you read, 0 for a new policy: the call raises Stale if
        the policy changed since. Without it the last writer wins.
        """
        path = f"/policies/{quote(name)}"
        return await self._change(
            PolicyAnswer,
            "PUT",
            "approval",
            path,
            dict(policy),
            expected,
            what=f"the policy {name}",
            shown=_POLICY,
            query={"reason": reason or None},
        )

    async def preview_policy(self, name: str, policy: PolicyBody | Mapping[str, Any]) -> PolicyPreview:
        """Return what publishing the policy would change: models, open reviews, and how it requires less."""
        return await self._send(
            PolicyPreview, "POST", "approval", f"/policies/{quote(name)}:preview", dict(policy)
        )

    async def confirm_policy(self, name: str, revision: int, reason: str = "") -> PolicyAnswer:
        """Publish the proposal of this revision, which another admin made."""
        body = {"revision": revision, **given(reason=reason or None)}
        return await self._send(PolicyAnswer, "POST", "approval", f"/policies/{quote(name)}:confirm", body)


def _review(review_id: str) -> str:
    return f"/reviews/{quote(review_id)}"
