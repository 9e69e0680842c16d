"""Versions: read, compare, evaluate and withdraw them; legal holds. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from regista.calls.requests import (
    Json,
    Requests,
    at,
    given,
    model_and_version,
    moment,
    summary,
    tag_conditions,
)
from regista.former_names import former
from regista.publishing.json_values import metric_value

_OF_MODEL_TRAINED = {"schema": "signature", "compare_with": "base"}
_VERSION = summary("stage", "semver", "missing", "withdrawn", "legal_hold", "retired")


class VersionCalls(Requests):
    """Read and change versions.

    `reference` is `model@3`, `model@1.2.0`, `model@production`, `model@alias` or `model@latest`.
    """

    async def versions(
        self,
        model: str | None = None,
        limit: int | None = None,
        *,
        stage: str | None = None,
        tags: Iterable[str] | Mapping[str, str] = (),
        metrics: Iterable[str] = (),
        created_by: str | None = None,
        dataset: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
        artifact_digest: str | None = None,
        correlation_id: str | None = None,
    ) -> list[Json]:
        """Return the versions of a model, or of all readable models, newest first, at most `limit`.

        All that is given must hold. `tags`: names with their values, or a list of `NAME=VALUE` and `NAME`
        (any value). `metrics`: conditions such as `auc>0.9`. `dataset`: name or digest of the training data.
        `since`, `until`: times in RFC 3339, or days in UTC, that day included.
        """
        filters = given(
            stage=stage,
            tag=tag_conditions(tags) or None,
            metric=list(metrics) or None,
            created_by=created_by,
            dataset=dataset,
            since=moment(since),
            until=moment(until),
            artifact_digest=artifact_digest,
            correlation_id=correlation_id,
        )
        path = f"{at(model)}/versions" if model else "/versions:search"
        return await self._all("registry", path, limit, **filters)

    async def trained_on(self, dataset: str, limit: int | None = None) -> list[Json]:
        """Return the versions of all readable models that a data set went into, and where each serves.

        `dataset` is its name or digest. `use` is `training`, `evaluation`, or `parent` for a version that was
        made from one trained on the data, `generation` steps before.
        """
        found: dict[tuple[str, int], Json] = {}
        async for item in self.pages("registry", "/versions", trained_on=dataset):
            key = (item["model_id"], item["number"])
            if key not in found and limit is not None and len(found) >= limit:
                break
            if key not in found or item["generation"] < found[key]["generation"]:
                found[key] = item
        return list(found.values())

    async def lineage(self, reference: str) -> Json:
        """Return what a version was made from (`ancestors`) and what was made from it (`descendants`).

        `reference` is also the URL of a parent that is not in the registry, as the versions named it.
        """
        if "://" in reference:
            return dict(await self._get("registry", "/lineage", parent=reference))
        return dict(await self._get("registry", f"{_path(reference)}/lineage"))

    async def version(self, reference: str) -> Json:
        """Return one version with its `revision`."""
        return dict(await self._get("registry", _path(reference)))

    async def complete(
        self, reference: str, metadata: Mapping[str, Any], *, expected: int | None = None
    ) -> Json:
        """Add to a draft what it lacks (training, schema, artifact, parents), and return the version.

        `schema` and `compare_with` are what ModelTrained calls `signature` and `base`; either name is read.

        `expected` is the `revision` of the version that you read: the call raises Stale if the version
        changed since. Without it the last writer wins.
        """
        return await self._change(
            "PATCH",
            "registry",
            _path(reference),
            {_OF_MODEL_TRAINED.get(name, name): value for name, value in metadata.items()},
            expected,
            what=f"the version {reference}",
            shown=_VERSION,
        )

    async def diff(self, model: str, old: str, new: str) -> Json:
        """Return how two versions of a model differ: schema, code, config, data, metrics."""
        return dict(await self._get("registry", f"{at(model)}/diff", **{"from": old, "to": new}))

    async def evaluate(self, reference: str, evaluation: Mapping[str, Any]) -> Json:
        """Record a metric measured on a named data set: {name, value, dataset_name, dataset_digest, …}.

        Raises Invalid for a value that is no finite number.
        """
        sent = dict(evaluation)
        if "value" in sent:
            sent["value"] = metric_value(str(sent.get("name", "")), sent["value"])
        return await self._send("POST", "registry", f"{_path(reference)}/evaluations", sent)

    async def refusals(
        self, limit: int | None = None, *, model: str | None = None, correlation_id: str | None = None
    ) -> list[Json]:
        """Return refused registrations with their reasons, newest first, at most `limit`."""
        filters = given(model=model, correlation_id=correlation_id)
        return await self._all("registry", "/refusals", limit, **filters)

    async def reject_version(self, reference: str, reason: str) -> Json:
        """Reject a version permanently: it never reaches Production."""
        return await self._act(reference, "reject", reason)

    async def withdraw(self, reference: str, reason: str) -> Json:
        """Withdraw a version: from now on no client loads it. Its traffic stays as it is."""
        return await self._act(reference, "withdraw", reason)

    async def withdraw_trained(
        self, dataset: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> Json:
        """Withdraw every version that was trained on a data set (name or digest), of all models, in one step.

        With `dry_run` nothing changes: the answer has what would be withdrawn, where it serves, and the
        `plan`. The step needs that plan; it raises Stale when other versions would be withdrawn by now. Where
        a policy wants a second person, the first one only proposes; the second one repeats the step. The
        answer's `withdrawal_id` names the step for `reinstate_withdrawal`.
        """
        body = {"trained_on": dataset, "reason": reason, "dry_run": dry_run, **given(plan=plan)}
        return await self._send("POST", "registry", "/versions:withdraw", body)

    recall = former("recall", withdraw)
    recall_trained = former("recall_trained", withdraw_trained)

    async def reinstate_withdrawal(
        self, withdrawal_id: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> Json:
        """Undo a step of `withdraw_trained` that was a mistake. Only a second person may.

        `plan` and `dry_run` are as in `withdraw_trained`.
        """
        body = {"withdrawal_id": withdrawal_id, "reason": reason, "dry_run": dry_run, **given(plan=plan)}
        return await self._send("POST", "registry", "/versions:reinstate", body)

    async def reinstate(self, reference: str, reason: str) -> Json:
        """Undo a withdrawal that was a mistake. Only a person who did not withdraw the version may."""
        return await self._act(reference, "reinstate", reason)

    async def reopen(self, reference: str, reason: str) -> Json:
        """Move an archived version back to Staging: when its gates pass again, it may be used again."""
        return await self._act(reference, "reopen", reason)

    async def place_legal_hold(self, reference: str, reason: str) -> Json:
        """Place a legal hold: cleanup does not retire the version."""
        return await self._act(reference, "place-legal-hold", reason)

    async def release_legal_hold(self, reference: str, reason: str) -> Json:
        """Release the legal hold."""
        return await self._act(reference, "release-legal-hold", reason)

    hold = former("hold", place_legal_hold)
    release_hold = former("release_hold", release_legal_hold)

    async def _act(self, reference: str, action: str, reason: str) -> Json:
        return await self._send("POST", "registry", f"{_path(reference)}:{action}", {"reason": reason})


def _path(reference: str) -> str:
    return at(*model_and_version(reference))
