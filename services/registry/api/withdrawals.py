"""Withdraw every version that was trained on a data set in one reviewed step; and undo such a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from regista.wire.digests import digest
from services.registry import queries
from services.registry.api.calls import other_identities
from services.registry.api.lineage import refuse_promotions_below
from services.registry.domain.model.state import stream_of
from services.registry.domain.withdrawal.rejection import RecallVersion
from services.registry.domain.withdrawal.reversal import ReinstateVersion
from services.registry.shapes.withdrawals import ReinstateWithdrawal, WithdrawalAnswer, WithdrawTrained
from shared.deciding.access import permits
from shared.deciding.decider import Forbidden, NotFound, RuleBroken, Stale, Unprocessable
from shared.deciding.submission import Outcome, Permission, Submission, new_id
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route

MOST = 1000
"""The number of versions of one step."""
Row = Mapping[str, Any]


async def withdraw_trained(call: Call[WithdrawTrained]) -> Reply:
    """Withdraw what was trained on the data set. Without the plan that was read, nothing is changed."""
    call.require_any_role()
    body, withdrawal_id = call.body, str(new_id(call.cause(), "withdrawal"))
    rows = await _found(call, queries.TO_WITHDRAW, body.trained_on)
    if not rows:
        raise NotFound(
            "nothing_trained_on",
            f"No version that you may read was trained on {body.trained_on!r:.200}: check the name or the "
            "digest of the data set.",
        )
    person, by = call.access_state.kind == "person", call.actor.subject
    others = await other_identities(call)

    def command(row: Row) -> RecallVersion:
        return RecallVersion(
            row["model_id"],
            row["number"],
            by=by,
            person=person,
            withdrawal_id=withdrawal_id,
            others=others,
        )

    def intended(row: Row) -> str:
        if row["withdrawn"] or row["retired"] or row["proposed_by"] in {by, *others}:
            return "unchanged"
        return "proposed" if row["two_to_recall"] and not row["proposed_by"] else "withdrawn"

    return await _carry_out(call, withdrawal_id, rows, command, intended)


async def reinstate_withdrawal(call: Call[ReinstateWithdrawal]) -> Reply:
    """Undo the withdrawals of one step that was a mistake."""
    call.require_any_role()
    if call.access_state.kind != "person":
        raise Forbidden("person_needed", "Only a person reinstates a version: sign in as one.")
    withdrawal_id = call.body.withdrawal_id
    rows = await _found(call, queries.TO_REINSTATE, withdrawal_id)
    if not rows:
        raise NotFound(
            "unknown_withdrawal",
            f"No version that you may read is withdrawn by the step {withdrawal_id!r:.100}: check its id.",
        )

    others = await other_identities(call)

    def command(row: Row) -> ReinstateVersion:
        return ReinstateVersion(row["model_id"], row["number"], call.actor.subject, others=others)

    return await _carry_out(call, withdrawal_id, rows, command, lambda _: "reinstated")


async def _found(call: Call[Any], statement: str, key: str) -> list[Row]:
    rows: list[Row] = await call.app.list_rows(statement, key, call.readable(), MOST + 1, search=True)
    if len(rows) > MOST:
        raise Unprocessable(
            "too_many_versions", f"More than {MOST} versions: name a data set by its digest instead."
        )
    return rows


async def _carry_out(
    call: Call[Any],
    withdrawal_id: str,
    rows: list[Row],
    command: Callable[[Row], RecallVersion | ReinstateVersion],
    intended: Callable[[Row], str],
) -> Reply:
    """Return the plan in a dry run; else submit a command for each version that changes.

    Where none changes, the plan is not compared: the step was carried out, and its answer may have been lost.
    """
    shown = {(row["model_id"], row["number"]): _shown(call, row, intended(row)) for row in rows}
    changed = [row for row in rows if shown[row["model_id"], row["number"]]["outcome"] in _DONE]
    plan = digest([[row["model_id"], row["number"]] for row in changed])
    if changed and not call.body.dry_run:
        _check_plan(call.body.plan, plan)
        submissions = [_submission(call, row, command(row)) for row in changed]
        answers = await call.app.transactor.submit_all(submissions)
        for row, answer in zip(changed, answers, strict=True):
            shown[row["model_id"], row["number"]] |= _outcome(answer)
            await refuse_promotions_below(call, row["model_id"], row["number"])
    return Reply(
        {
            "withdrawal_id": withdrawal_id,
            "plan": plan,
            "dry_run": call.body.dry_run,
            "versions": list(shown.values()),
        }
    )


_DONE = {"withdrawn", "proposed", "reinstated"}
_OUTCOMES = {
    "RecallProposed": "proposed",
    "VersionRecalled": "withdrawn",
    "VersionReinstated": "reinstated",
}


def _check_plan(given: str | None, plan: str) -> None:
    """Raise unless the caller has read what the step changes."""
    if given is None:
        raise Problem(
            428,
            "plan_required",
            "The step names the plan that you read: repeat it with dry_run first, then with its plan.",
        )
    if given != plan:
        raise Stale(
            "stale_plan",
            "Other versions would be changed than those of the plan: repeat the dry run and read it again.",
            plan=plan,
        )


def _shown(call: Call[Any], row: Row, outcome: str) -> dict[str, Any]:
    names = ("model_id", "model", "number", "semver", "stage")
    may = permits(call.access_state, "engineer", row["namespace"])
    detail = "" if may or outcome not in _DONE else f"the role engineer is missing in {row['namespace']!r}"
    return {
        **{name: row[name] for name in names},
        "rollouts": msgspec.json.decode(row["rollouts"]),
        "outcome": "refused" if detail else outcome,
        "detail": detail,
    }


def _submission(call: Call[Any], row: Row, command: RecallVersion | ReinstateVersion) -> Submission:
    cause = call.cause()
    return Submission(
        command,
        (stream_of(command.model_id),),
        replace(cause, id=f"{cause.id}/{command.model_id}@{command.number}"),
        call.actor,
        permission=Permission("engineer", row["namespace"]),
        reason=call.body.reason,
    )


def _outcome(answer: Outcome | RuleBroken) -> dict[str, Any]:
    if isinstance(answer, RuleBroken):
        return {"outcome": "refused", "detail": answer.detail}
    done = next((_OUTCOMES[r.type] for r in answer.events if r.type in _OUTCOMES), "unchanged")
    return {"outcome": done}


ROUTES = (
    Route(
        "POST",
        "/v1/versions:withdraw",
        withdraw_trained,
        "Withdraw every version that was trained on a data set",
        former=["/v1/versions:recall"],
        body=WithdrawTrained,
        response=WithdrawalAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        "/v1/versions:reinstate",
        reinstate_withdrawal,
        "Undo the withdrawal of several versions in one step",
        body=ReinstateWithdrawal,
        response=WithdrawalAnswer,
        tags=["versions"],
    ),
)
