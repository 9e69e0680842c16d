"""A change names the revision that it was decided on, and a stale one shows the present state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.client.sync_client import Client
from regista.errors import Stale

from .conftest import Answers, problem

SHARES = [{"number": 4, "percent": 100, "role": "champion"}]
Change = Callable[[Client, int | None], Any]
CHANGES: dict[str, tuple[str, str, str, Change]] = {
    "edit_model": (
        "PATCH",
        "models/churn",
        "models/churn",
        lambda c, n: c.edit_model("churn", owner="x", expected=n),
    ),
    "complete": (
        "PATCH",
        "models/churn/versions/3",
        "models/churn/versions/3",
        lambda c, n: c.complete("churn@3", {}, expected=n),
    ),
    "change_rollout": (
        "POST",
        "models/churn/rollouts/production",
        "models/churn/rollouts/production",
        lambda c, n: c.change_rollout("churn", SHARES, expected=n),
    ),
    "rollback": (
        "POST",
        "models/churn/rollouts/production:rollback",
        "models/churn/rollouts/production",
        lambda c, n: c.rollback("churn", "slow", expected=n),
    ),
    "publish_policy": ("PUT", "policies/p", "policies/p", lambda c, n: c.publish_policy("p", {}, expected=n)),
    "set_retention": (
        "PUT",
        "retention/churn",
        "retention/churn",
        lambda c, n: c.set_retention("churn", {}, expected=n),
    ),
}
NO_CHANGE = {"weaker": [], "second_admin": False, "models": [], "models_changed": 0}
NO_CHANGE |= {"reviews": [], "reviews_changed": 0}
"""What publishing a policy changes: nothing."""
EACH = pytest.mark.parametrize(("method", "path", "read", "change"), CHANGES.values(), ids=CHANGES)


@EACH
def test_a_change_is_valid_for_the_revision_that_was_read_and_reads_nothing_itself(
    client: Client, answers: Answers, method: str, path: str, read: str, change: Change
) -> None:
    answers.fixed[method, f"/v1/{path}"] = JSONResponse({})
    change(client, 5)
    change(client, None)
    assert [sent.headers["if-match"] for sent in answers.of(method, f"/v1/{path}")] == ['"5"', "*"]
    assert not answers.of("GET", f"/v1/{read}")


@EACH
def test_a_stale_change_shows_the_present_state_and_how_to_go_on(
    client: Client, answers: Answers, method: str, path: str, read: str, change: Change
) -> None:
    present = {"revision": 7, "entries": SHARES, "owner": "team:risk", "stage": "Draft", "changed_by": "u-1"}
    answers.fixed[method, f"/v1/{path}"] = problem(412, "stale_thing", revision=7)
    answers.fixed["GET", f"/v1/{read}"] = JSONResponse(present)
    with pytest.raises(
        Stale, match="at revision 7, changed by u-1; the change was decided on revision 5"
    ) as raised:
        change(client, 5)
    assert (raised.value.code, raised.value.facts["present"]) == ("stale_thing", present)
    assert "expected=7" in raised.value.advice


def test_a_stale_change_of_an_unreadable_object_has_the_message_of_the_service(
    client: Client, answers: Answers
) -> None:
    answers.fixed["PATCH", "/v1/models/churn"] = problem(412, "stale_model")
    answers.fixed["GET", "/v1/models/churn"] = problem(403, "role_missing")
    with pytest.raises(Stale, match="it is stale_model"):
        client.edit_model("churn", owner="x", expected=5)


@pytest.mark.parametrize("decide", [Client.approve, Client.reject])
def test_a_decision_on_a_changed_review_is_stale(
    client: Client, answers: Answers, decide: Callable[..., Any]
) -> None:
    answers.fixed["POST", f"/v1/reviews/r1:{decide.__name__}"] = problem(412, "stale_review")
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(
        {"revision": 9, "state": "lapsed", "approvers": ["u-1", "u-2"]}
    )
    now = r"at revision 9; .* revision 4\. It is now: state lapsed, approvers u-1 and u-2\n"
    with pytest.raises(Stale, match=now):
        decide(client, "r1", "no", revision=4)


ROLLOUT = "/v1/models/churn/rollouts/production"


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("rollout", "split", "churn", "4=100"), ROLLOUT),
        (("rollout", "switch", "churn@4"), ROLLOUT),
        (("rollback", "churn", "--reason", "slow"), f"{ROLLOUT}:rollback"),
    ],
)
def test_a_command_changes_the_rollout_that_was_shown(
    run: Any, answers: Answers, words: tuple[str, ...], path: str
) -> None:
    answers.has("churn", "4", {"m": b"x"}, number=4)
    answers.fixed["GET", ROLLOUT] = JSONResponse({"revision": 5, "entries": SHARES})
    answers.fixed["POST", path] = JSONResponse({})
    assert "--if-revision 5" in run("rollout", "show", "churn").stderr
    assert run(*words, "--if-revision", "5").exit_code == 0
    assert run(*words).exit_code == 0
    sent = [s for s in answers.of("POST", path) if not json.loads(s.body).get("dry_run")]
    assert [s.headers["if-match"] for s in sent] == ['"5"', "*"]


def test_a_command_that_comes_too_late_shows_who_serves_now_and_ends_with_3(
    run: Any, answers: Answers
) -> None:
    answers.fixed["GET", ROLLOUT] = JSONResponse({"revision": 6, "entries": SHARES, "changed_by": "u-1"})
    answers.fixed["POST", f"{ROLLOUT}:rollback"] = problem(412, "stale_rollout")
    words = ("rollback", "churn", "--reason", "slow", "--if-revision", "5")
    late = run(*words)
    assert late.exit_code == 3
    assert "at revision 6, changed by u-1" in late.stderr
    assert "4 (champion, 100 %)" in late.stderr
    assert "--if-revision 6" in late.stderr
    assert json.loads(run(*words, "--json").stderr)["present"]["revision"] == 6


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("PATCH", "models/churn", ("models", "edit", "churn", "--owner", "x")),
        ("PATCH", "models/churn/versions/3", ("versions", "complete", "churn@3", "--metadata", "{file}")),
        ("PUT", "policies/p", ("policy", "publish", "p", "{file}")),
        ("PUT", "retention/churn", ("cleanup", "retention", "churn", "--set", "{file}")),
    ],
)
def test_other_commands_pass_the_revision_on(
    run: Any, answers: Answers, tmp_path: Path, method: str, path: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "f.json").write_text("{}")
    answers.fixed[method, f"/v1/{path}"] = JSONResponse({})
    answers.fixed["POST", "/v1/policies/p:preview"] = JSONResponse(NO_CHANGE)
    typed = [word.format(file=tmp_path / "f.json") for word in words]
    assert run(*typed, "--if-revision", "8").exit_code == 0
    assert answers.of(method, f"/v1/{path}")[0].headers["if-match"] == '"8"'
