"""The command line: tables for people, JSON for programs, exit codes for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from starlette.responses import JSONResponse

from regista.cli import COMMANDS, LazyGroup, root
from regista.wire.keys import generate_signing_key

from .conftest import COMPLETE, Answers, problem

VERSION = {"model": "churn", "model_id": "m1", "number": 1, "semver": "1.0.0", "stage": "Staging"}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    ctx = click.Context(group)
    found = []
    for name in COMMANDS if isinstance(group, LazyGroup) else group.list_commands(ctx):
        command = group.get_command(ctx, name)
        found += _commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


def test_a_review_that_is_decided_is_shown_without_a_command_to_decide(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(
        {"review_id": "r1", "revision": 4, "state": "approved", "results": [], "entries": []}
    )
    assert "To decide" not in run("reviews", "show", "r1").output


@pytest.mark.parametrize("words", _commands(root), ids=" ".join)
def test_each_commands_help_has_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(root, [*words, "--help"])
    assert result.exit_code == 0
    assert f"  Examples:\n    regista {' '.join(words)}" in result.output


def test_the_help_lists_every_command_and_the_exit_codes_and_imports_neither_http_nor_tables() -> None:
    code = (
        "import sys; from regista.cli import root; root(['--help'], standalone_mode=False); "
        "print(sorted({'httpx','rich','aiokafka','asyncio'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert result.splitlines()[-1] == "[]"
    assert all(name in result for name in COMMANDS)
    assert "4 not found" in result


def test_a_list_is_a_table_for_people_and_an_array_for_programs(run: Any, answers: Answers) -> None:
    models = [
        {"model": "churn", "kind": "model", "owner": "team:risk", "description": "[bold]who leaves\x1b[31m"}
    ]
    answers.fixed["GET", "/v1/models"] = JSONResponse({"items": models, "next_page_token": ""})
    shown = run("models", "list").output
    assert "churn" in shown
    assert "[bold]who leaves�[31m" in shown
    assert json.loads(run("models", "list", "--json").output) == models


@pytest.mark.parametrize(
    ("status", "code"), [(404, 4), (403, 5), (401, 5), (409, 3), (412, 3), (422, 2), (500, 1)]
)
def test_the_exit_code_depends_on_the_kind_of_answer(
    run: Any, answers: Answers, status: int, code: int
) -> None:
    answers.fixed["GET", "/v1/models/churn"] = problem(status, "some_code")
    result = run("models", "show", "churn")
    assert result.exit_code == code
    assert "some_code: it is some_code" in result.stderr
    assert ("→" in result.stderr) is (status in {401, 403, 500})


def test_what_others_wrote_does_not_steer_the_terminal(run: Any, answers: Answers) -> None:
    steers = "poisoned\x1b]0;evil\x07\n"
    answers.fixed["POST", "/v1/models/churn/versions/3:promote"] = problem(
        409, f"withdrawn {steers}", problems=[f"the gate {steers}"]
    )
    result = run("promote", "churn@3").stderr
    answers.fixed["GET", "/v1/as-of"] = JSONResponse(
        {"entries": [], "since": "2026-01-01", "changed_by": {"reason": steers}}
    )
    result += run("as-of", "churn").stdout
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(
        {"model": "churn", "number": 3, "semver": "1.0.0", "stage": steers}, 201
    )
    result += run("publish", "churn", "--draft").stdout
    assert result.count("poisoned�]0;evil�") == 5
    assert "\x1b" not in result


def test_errors_are_json_for_programs(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/models/churn"] = problem(403, "role_missing", role="engineer")
    result = run("models", "show", "churn", "--json")
    assert json.loads(result.stderr)["role"] == "engineer"
    assert result.stdout == ""


def test_without_an_address_the_variable_is_named() -> None:
    result = CliRunner().invoke(
        root, ["models", "list"], env={"REGISTA_CONFIG": "/nowhere", "REGISTA_URL": ""}
    )
    assert result.exit_code == 2
    assert "REGISTA_URL" in result.stderr


def test_publishing_shows_the_version(run: Any, answers: Answers, tmp_path: Path) -> None:
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(VERSION, 201)
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    (tmp_path / "run.json").write_text(json.dumps(COMPLETE))
    result = run(
        "publish",
        "churn",
        str(tmp_path / "m.onnx"),
        "--metadata",
        str(tmp_path / "run.json"),
        "--bump",
        "minor",
        "--tag",
        "a=b",
    )
    assert result.output == "registered churn 1.0.0, number 1, Staging\n"
    sent = json.loads(answers.of("POST", "/v1/models/churn/versions")[0].body)
    assert (sent["training"]["config"], sent["version"], sent["tags"]) == (
        {"C": 1},
        {"claim": "minor", "exact": False},
        {"a": "b"},
    )


def test_what_was_published_without_waiting_has_an_id_over_http_too(run: Any, answers: Answers) -> None:
    version = {"model": "churn", "model_id": "0198-m", "number": 3, "semver": "", "stage": "Draft"}
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(version, 201)
    words = ("publish", "churn", "--draft", "--no-wait", "--via", "http")
    sent = json.loads(run(*words, "--json").stdout)
    assert (sent["id"], sent["number"], sent["new"]) == ("0198-m@3", 3, True)
    assert run(*words).stdout == "published 0198-m@3\n"
    assert run(*words, "-o", "name").stdout == "churn@3\n"


def test_a_refused_registration_ends_with_3_and_every_problem(run: Any, answers: Answers) -> None:
    problems = [
        {"field": "training.code", "problem": "is missing"},
        {"field": "signature", "problem": "is missing"},
    ]
    answers.fixed["POST", "/v1/models/churn/versions"] = problem(
        422, "registration_refused", problems=problems
    )
    result = run("publish", "churn", "--draft")
    assert result.exit_code == 3
    assert "  - training.code: is missing\n  - signature: is missing" in result.stderr


def test_a_refusal_before_the_upload_has_every_problem_for_programs_too(
    run: Any, answers: Answers, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text('{"training": {"config": {"C": 1}}}')
    (tmp_path / "model.onnx").write_bytes(b"model")
    words = ["publish", "churn", str(tmp_path / "model.onnx"), "--metadata", str(tmp_path / "run.json")]
    refused = json.loads(run(*words, "--json").stderr)
    assert {p["field"] for p in refused["problems"]} >= {"training.dataset.digest", "signature"}
    assert "  - signature: missing" in run(*words).stderr
    assert {seen.method for seen in answers.seen} == {"GET"}


def test_a_download_is_verified_and_copied(run: Any, answers: Answers, tmp_path: Path) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights"})
    result = run("versions", "download", "churn@production", "--to", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"weights"
    assert run("versions", "download", "churn@production", "--to", str(tmp_path / "out")).exit_code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("3=90", "4=20"), "sum to 110"),
        (("3=90", "4"), "NUMBER=PERCENT, for example 3=90 4=10"),
        (("3=x",), "whole numbers"),
        (("3=100", "--role", "4=shadow"), "add 4=0"),
        (("3=100", "--role", "3=boss"), "not a role"),
    ],
)
def test_a_split_that_cannot_be_is_refused_before_anything_is_sent(
    run: Any, answers: Answers, words: tuple[str, ...], message: str
) -> None:
    result = run("rollout", "split", "churn", *words)
    assert (result.exit_code, answers.seen) == (2, [])
    assert message in result.stderr


def test_a_split_names_the_largest_share_champion(run: Any, answers: Answers) -> None:
    path = "/v1/models/churn/rollouts/production"
    answers.fixed["GET", path] = JSONResponse(
        {"entries": [{"number": 4, "percent": 90, "role": "champion"}]}, headers={"ETag": '"5"'}
    )
    answers.fixed["POST", path] = JSONResponse({})
    assert run("rollout", "split", "churn", "3=10", "4=90", "5=0", "--role", "5=shadow").exit_code == 0
    (sent,) = answers.of("POST", path)
    assert [(e["number"], e["percent"], e["role"]) for e in json.loads(sent.body)["entries"]] == [
        (3, 10, "challenger"),
        (4, 90, "champion"),
        (5, 0, "shadow"),
    ]


def test_a_refused_promotion_that_was_waited_for_ends_with_3_and_the_reasons(
    run: Any, answers: Answers
) -> None:
    answers.fixed["POST", "/v1/models/churn/versions/3:promote"] = JSONResponse({"promotion_id": "p1"}, 202)
    answers.fixed["GET", "/v1/promotions/p1"] = JSONResponse(
        {"promotion_id": "p1", "state": "refused", "reasons": ["auc is worse"]}
    )
    result = run("promote", "churn@3", "--wait")
    assert result.exit_code == 3
    assert "auc is worse" in result.stderr


def test_reviews_without_a_word_more_are_those_that_wait_for_people(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews"] = JSONResponse({"items": [], "next_page_token": ""})
    assert run("reviews").stderr == "no reviews\n"
    assert answers.of("GET", "/v1/reviews")[0].query["state"] == "pending"


REVIEW = {
    "review_id": "r1",
    "revision": 4,
    "state": "open",
    "model": "churn",
    "number": 3,
    "results": [],
    "entries": [],
}


def test_a_review_is_shown_with_the_command_that_decides_on_it(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW)
    assert "regista approve r1 --revision 4" in run("reviews", "show", "r1").output


@pytest.mark.parametrize("words", [("approve", "r1"), ("reject", "r1", "--reason", "no")])
def test_what_was_not_seen_is_not_decided(run: Any, answers: Answers, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert (result.exit_code, answers.seen) == (2, [])
    assert "regista reviews show r1" in result.stderr


def test_on_a_terminal_the_review_is_shown_and_that_revision_decided_on(
    run: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW)
    answers.fixed["POST", "/v1/reviews/r1:approve"] = JSONResponse(REVIEW)
    monkeypatch.setattr("regista.cli.reviews.on_a_terminal", lambda: True)
    assert run("approve", "r1", typed="n\n").exit_code == 1
    assert not answers.of("POST", "/v1/reviews/r1:approve")
    result = run("approve", "r1", typed="y\n")
    assert "churn" in result.output
    assert answers.of("POST", "/v1/reviews/r1:approve")[0].headers["if-match"] == '"4"'


def test_a_comment_on_a_review_decides_nothing(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/reviews/r1:comment"] = JSONResponse(REVIEW)
    assert run("reviews", "comment", "r1", "why?").output == "commented on r1\n"
    assert json.loads(answers.of("POST", "/v1/reviews/r1:comment")[0].body) == {"comment": "why?"}


@pytest.mark.parametrize(
    ("environment", "words", "message"),
    [
        ({"REGISTA_URL": "registry.example.com"}, ("models", "list"), "https://"),
        (
            {"REGISTA_KEY_FILE": "/nowhere/key.json", "REGISTA_KAFKA_BOOTSTRAP": "127.0.0.1:9"},
            ("publish", "churn"),
            "/nowhere/key.json",
        ),
        (
            {
                "REGISTA_KEY_FILE": "{key}",
                "REGISTA_KAFKA_BOOTSTRAP": "k:1",
                "REGISTA_KAFKA_SECURITY": "SSL",
                "REGISTA_KAFKA_CA_FILE": "/nowhere/ca.pem",
            },
            ("publish", "churn", "--draft"),
            "/nowhere/ca.pem",
        ),
        ({}, ("access", "key", "register", "publisher:x", "{bad}"), "regista key generate"),
        ({}, ("key", "generate", "publisher:x", "--out", "/nowhere/key.json"), "/nowhere/key.json"),
    ],
)
def test_a_wrong_setting_or_file_is_named_with_the_next_step(
    run: Any, tmp_path: Path, environment: dict[str, str], words: tuple[str, ...], message: str
) -> None:
    generate_signing_key("publisher:x").save(tmp_path / "key.json")
    (tmp_path / "bad").write_text("{}")
    paths = {"key": str(tmp_path / "key.json"), "bad": str(tmp_path / "bad")}
    result = run(
        *(word.format(**paths) for word in words),
        environment={name: value.format(**paths) for name, value in environment.items()},
    )
    assert result.exit_code == 2, result.exception
    assert message in result.stderr


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (
            b'{"training": "abc"}',
            ("publish", "churn", "--metadata", "{file}"),
            "`training` must be an object",
        ),
        (b'{"schema": 5}', ("publish", "churn", "--metadata", "{file}"), "`schema` must be an object"),
        (
            b'{"parents": [1]}',
            ("publish", "churn", "--metadata", "{file}"),
            "`parents` must be a list of objects",
        ),
        (
            b'{"parents": 7}',
            ("publish", "churn", "--metadata", "{file}"),
            "`parents` must be a list of objects",
        ),
        (b"", ("publish", "churn", "--exact"), "--bump"),
        (b"\xff", ("policy", "publish", "p", "{file}"), "is not text in UTF-8"),
        (b"", ("approve", "r1", "--revision", "0"), "--revision"),
        (b"", ("withdraw", "churn@3", "--reason", " "), "audit trail"),
        (b"", ("rollback", "churn", "--reason", ""), "audit trail"),
    ],
)
def test_invalid_input_is_refused_before_anything_is_sent(
    run: Any, answers: Answers, tmp_path: Path, content: bytes, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    result = run(*(word.format(file=tmp_path / "file") for word in words))
    assert result.exit_code == 2, result.exception
    assert message in " ".join(result.stderr.split())
    assert not [seen for seen in answers.seen if seen.method != "GET"]


def test_a_folder_that_is_not_writable_is_named(run: Any, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    nowhere = run("versions", "download", "churn@3", environment={"REGISTA_CACHE_DIR": "/dev/null/cache"})
    to_nowhere = run("versions", "download", "churn@3", "--to", "/dev/null/model")
    for result, path in ((nowhere, "/dev/null/cache"), (to_nowhere, "/dev/null/model")):
        assert result.exit_code == 1
        assert f"{path}" in result.stderr, result.exception
        assert "→" in result.stderr


def test_a_version_to_start_from_that_has_no_form_of_one_is_named(run: Any) -> None:
    assert "compare_with: '²' must be" in run("publish", "churn", "--draft", "--compare-with", "²").stderr


@pytest.mark.parametrize("words", [("models", "show"), ("models", "lst"), ("nothing",)])
def test_wrong_usage_is_json_for_programs_too(run: Any, words: tuple[str, ...]) -> None:
    result = run(*words, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["code"] == "wrong_usage"
    assert run(*words).stderr.startswith("Usage:")


def test_completion_completes_commands() -> None:
    environment = {
        "_REGISTA_COMPLETE": "bash_complete",
        "COMP_WORDS": "regista dlq re",
        "COMP_CWORD": "2",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    code = "import sys; sys.argv = ['regista']; from regista.cli import root; root(prog_name='regista')"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "plain,replay\n"


def test_a_plug_in_adds_commands_and_a_broken_one_removes_none(tmp_path: Path) -> None:
    info = tmp_path / "extra-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[regista.commands]\nextra = extra_plugin:COMMANDS\nbroken = not_there:COMMANDS\n"
    )
    (tmp_path / "extra_plugin.py").write_text(
        "import click\n@click.command()\ndef hello():\n    'Print hello.'\n    click.echo('hi')\n"
        "COMMANDS = [hello]\n"
    )
    call = [sys.executable, "-c", "from regista.cli import root; root()"]
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3] / 'sdk' / 'src'}"}
    assert (
        subprocess.run([*call, "hello"], env=environment, capture_output=True, text=True, check=True).stdout
        == "hi\n"
    )
    result = subprocess.run([*call, "--help"], env=environment, capture_output=True, text=True, check=True)
    assert "Print hello." in result.stdout
    assert "not_there" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    assert "_REGISTA_COMPLETE" in CliRunner().invoke(root, ["completion", shell]).output
