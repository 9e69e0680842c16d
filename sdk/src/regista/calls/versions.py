"""Versions: read, compare, evaluate and withdraw them; legal holds. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from regista.calls.requests import (
    Json,
    Requests,
    at,
    given,
    model_and_version,
    moment,
    shaped,
    summary,
    tag_conditions,
)
from regista.choices import Stage
from regista.former_names import former
from regista.publishing.json_values import metric_value
from regista.shapes.registry import (
    Artifact,
    DiffAnswer,
    LineageAnswer,
    NewEvaluation,
    Parent,
    RefusalAnswer,
    Signature,
    TrainedVersion,
    Training,
    VersionAnswer,
    VersionFacts,
    VersionLine,
    WithdrawalAnswer,
)

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
        stage: Stage | None = None,
        tags: Iterable[str] | Mapping[str, str] = (),
        metrics: Iterable[str] = (),
        created_by: str | None = None,
        dataset: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
        artifact_digest: str | None = None,
        correlation_id: str | None = None,
    ) -> list[VersionLine]:
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
        return await self._all(VersionLine, "registry", path, limit, **filters)

    async def trained_on(self, dataset: str, limit: int | None = None) -> list[TrainedVersion]:
        """Return the versions of all readable models that a data set went into, and where each serves.

        `dataset` is its name or digest. `use` is `training`, `evaluation`, or `parent` for a version that was
        made from one trained on the data, `generation` steps before.
        """
        found: dict[tuple[str, int], TrainedVersion] = {}
        async for line in self.pages("registry", "/versions", trained_on=dataset):
            item = shaped(TrainedVersion, line)
            key = (item["model_id"], item["number"])
            if key not in found and limit is not None and len(found) >= limit:
                break
            if key not in found or item["generation"] < found[key]["generation"]:
                found[key] = item
        return list(found.values())

    async def lineage(self, reference: str, at_time: str | None = None) -> LineageAnswer:
        """Return what a version was made from (`ancestors`) and what was made from it (`descendants`).

        With a time, or a day, as it was then. `reference` is also the URL of a parent that is not in the
        registry, as the versions named it: of such a parent only the present is known.
        """
        if "://" in reference:
            return await self._get(LineageAnswer, "registry", "/lineage", parent=reference)
        return await self._get(LineageAnswer, "registry", f"{_path(reference)}/lineage", as_of=at_time)

    async def version(self, reference: str, at_time: str | None = None) -> VersionAnswer:
        """Return one version with its `revision`; with a time, or a day, as it was then."""
        return await self._get(VersionAnswer, "registry", _path(reference), as_of=at_time)

    async def complete(
        self,
        reference: str,
        metadata: VersionFacts | Mapping[str, Any] | None = None,
        *,
        training: Training | Mapping[str, Any] | None = None,
        schema: Signature | Mapping[str, Any] | None = None,
        artifact: Artifact | Mapping[str, Any] | None = None,
        parents: Sequence[Parent | Mapping[str, Any]] | None = None,
        compare_with: int | str | None = None,
        expected: int | None = None,
    ) -> VersionAnswer:
        """Add to a draft what it lacks, and return the version.

        `metadata` has the other arguments in one object, as in ModelTrained; an argument counts more.
        `metadata` may call `schema` and `compare_with` as ModelTrained does: `signature` and `base`.
        `training` is what `run.training()` returns, `artifact` what `upload` returns.

        `expected` is the `revision` of the version that you read: the call raises Stale if the version
        changed since. Without it the last writer wins.
        """
        added = {**(metadata or {})} | given(
            training=training, schema=schema, artifact=artifact, parents=parents, compare_with=compare_with
        )
        return await self._change(
            VersionAnswer,
            "PATCH",
            "registry",
            _path(reference),
            {_OF_MODEL_TRAINED.get(name, name): value for name, value in added.items()},
            expected,
            what=f"the version {reference}",
            shown=_VERSION,
        )

    async def diff(self, model: str, old: str, new: str) -> DiffAnswer:
        """Return how two versions of a model differ: schema, code, config, data, metrics."""
        return await self._get(DiffAnswer, "registry", f"{at(model)}/diff", **{"from": old, "to": new})

    async def evaluate(
        self,
        reference: str,
        evaluation: NewEvaluation | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        value: float | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        definition: str | None = None,
        higher_is_better: bool | None = None,
        primary: bool | None = None,
        independent: bool | None = None,
    ) -> VersionAnswer:
        """Record a metric measured on a data set, and return the version.

        `name`, `value` and `dataset_digest` are needed. `evaluation` has the other arguments in one object;
        an argument counts more. `definition`: only metrics with equal definitions are compared.
        `higher_is_better` is true unless stated. `primary`: the metric decides about the size of a version
        bump. `independent`: it was not measured by those who made the version. Raises Invalid for a value
        that is no finite number.
        """
        stated = given(
            name=name,
            value=value,
            dataset_name=dataset_name,
            dataset_digest=dataset_digest,
            definition=definition,
            higher_is_better=higher_is_better,
            primary=primary,
            independent=independent,
        )
        sent: Json = {**(evaluation or {}), **stated}
        if "value" in sent:
            sent["value"] = metric_value(str(sent.get("name", "")), sent["value"])
        return await self._send(VersionAnswer, "POST", "registry", f"{_path(reference)}/evaluations", sent)

    async def refusals(
        self, limit: int | None = None, *, model: str | None = None, correlation_id: str | None = None
    ) -> list[RefusalAnswer]:
        """Return refused registrations with their reasons, newest first, at most `limit`."""
        filters = given(model=model, correlation_id=correlation_id)
        return await self._all(RefusalAnswer, "registry", "/refusals", limit, **filters)

    async def reject_version(self, reference: str, reason: str) -> VersionAnswer:
        """Reject a version permanently: it never reaches Production."""
        return await self._act(reference, "reject", reason)

    async def withdraw(self, reference: str, reason: str) -> VersionAnswer:
        """Withdraw a version: from now on no client loads it. Its traffic stays as it is."""
        return await self._act(reference, "withdraw", reason)

    async def withdraw_trained(
        self, dataset: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> WithdrawalAnswer:
        """Withdraw every version that was trained on a data set (name or digest), of all models, in one step.

        With `dry_run` nothing changes: the answer has what would be withdrawn, where it serves, and the
        `plan`. The step needs that plan; it raises Stale when other versions would be withdrawn by now. Where
        a policy wants a second person, the first one only proposes; the second one repeats the step. The
        answer's `withdrawal_id` names the step for `reinstate_withdrawal`.
        """
        body = {"trained_on": dataset, "reason": reason, "dry_run": dry_run, **given(plan=plan)}
        return await self._send(WithdrawalAnswer, "POST", "registry", "/versions:withdraw", body)

    recall = former("recall", withdraw)
    recall_trained = former("recall_trained", withdraw_trained)

    async def reinstate_withdrawal(
        self, withdrawal_id: str, reason: str, *, plan: str | None = None, dry_run: bool = False
    ) -> WithdrawalAnswer:
        """Undo a step of `withdraw_trained` that was a mistake. Only a second person may.

        `plan` and `dry_run` are as in `withdraw_trained`.
        """
        body = {"withdrawal_id": withdrawal_id, "reason": reason, "dry_run": dry_run, **given(plan=plan)}
        return await self._send(WithdrawalAnswer, "POST", "registry", "/versions:reinstate", body)

    async def reinstate(self, reference: str, reason: str) -> VersionAnswer:
        """Undo a withdrawal that was a mistake. Only a person who did not withdraw the version may."""
        return await self._act(reference, "reinstate", reason)

    async def reopen(self, reference: str, reason: str) -> VersionAnswer:
        """Move an archived version back to Staging: when its gates pass again, it may be used again."""
        return await self._act(reference, "reopen", reason)

    async def retire_version(self, reference: str, reason: str) -> VersionAnswer:
        """Retire a version that nothing needs: its tombstone stays. Raises RuleBroken with what needs it."""
        return await self._act(reference, "retire", reason)

    async def place_legal_hold(self, reference: str, reason: str) -> VersionAnswer:
        """Place a legal hold: cleanup does not retire the version."""
        return await self._act(reference, "place-legal-hold", reason)

    async def release_legal_hold(self, reference: str, reason: str) -> VersionAnswer:
        """Release the legal hold."""
        return await self._act(reference, "release-legal-hold", reason)

    hold = former("hold", place_legal_hold)
    release_hold = former("release_hold", release_legal_hold)

    async def _act(self, reference: str, action: str, reason: str) -> VersionAnswer:
        return await self._send(
            VersionAnswer, "POST", "registry", f"{_path(reference)}:{action}", {"reason": reason}
        )


def _path(reference: str) -> str:
    return at(*model_and_version(reference))
