"""`regista access link` and `unlink`: what is sent, and what is refused before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers
from .test_access_commands import IDENTITY, ME

LINKS = "/v1/access/identities/u-1/links"
WHY = ("--reason", "her identity from before the sign-in")


@pytest.fixture
def linking(answers: Answers) -> Answers:
    links = [{"other": "ann", "login": False, "linked_at": "2026-11-30T00:00:00Z", "linked_by": "root"}]
    answers.fixed["PUT", LINKS] = JSONResponse(IDENTITY | {"links": links})
    answers.fixed["DELETE", LINKS] = JSONResponse(None, 204)
    answers.fixed["GET", "/v1/access/me"] = JSONResponse(ME)
    return answers


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("u-1", "ann"), {"other": "ann"}),
        (("u-1", "--login", "octocat"), {"other": "octocat", "login": True}),
    ],
)
def test_an_admin_links_an_identity_or_a_login(
    run: Any, linking: Answers, words: tuple[str, ...], sent: dict[str, Any]
) -> None:
    done = run("access", "link", *words, *WHY)
    assert (done.exit_code, "count as one person" in done.stdout) == (0, True), done.output
    assert json.loads(linking.of("PUT", LINKS)[0].body) == {"reason": WHY[1]} | sent


def test_a_person_proves_the_other_identity_by_a_key_file_that_is_not_shown(
    run: Any, linking: Answers, tmp_path: Path
) -> None:
    file = tmp_path / "ann.key"
    file.write_text("rg_old_secret\n")
    done = run("access", "link", "--own", "--key-file", str(file), *WHY)
    assert (done.exit_code, done.stdout.strip()) == (0, "u-1 is one person with ann"), done.output
    assert "rg_old" not in done.output
    assert json.loads(linking.of("PUT", LINKS)[0].body) == {"reason": WHY[1], "proof": "rg_old_secret"}


@pytest.mark.parametrize(
    "words",
    [
        ("u-1",),
        ("u-1", "ann", "--login", "octocat"),
        ("--own",),
        ("--login", "octocat"),
        ("u-1", "ann", "--key-file", __file__),
        ("u-1", "--own", "--key-file", __file__),
    ],
)
def test_what_is_linked_is_clear_before_anything_is_sent(
    run: Any, linking: Answers, words: tuple[str, ...]
) -> None:
    assert run("access", "link", *words, *WHY).exit_code == 2
    assert linking.seen == []


def test_a_link_and_its_end_need_a_reason(run: Any, linking: Answers) -> None:
    assert run("access", "link", "u-1", "ann").exit_code == 2
    assert run("access", "unlink", "u-1", "ann").exit_code == 2
    done = run("access", "unlink", "u-1", "ann", *WHY)
    assert (done.exit_code, "count as two people" in done.stdout) == (0, True), done.output
    assert dict(linking.of("DELETE", LINKS)[0].query) == {"other": "ann", "reason": WHY[1]}
