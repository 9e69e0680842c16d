"""What notebooks show of runs, versions and diffs: tables in which nothing foreign becomes markup."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from regista import html
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.html import DiffShown, VersionShown
from regista.loading.loaded import Loaded
from regista.publishing.publication import Registered
from regista.publishing.tracking import Run, capture
from tests.unit.sdk.conftest import QUICK, Answers

ALLOWED = {"table", "caption", "tr", "th", "td"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><iframe>",
    "&lt;b&gt;",
    "\x1b[31mred",
    "\u202egnp.exe",
    "a\x00b",
    "<!-- comment",
    "]]><![CDATA[",
]


class Reader(HTMLParser):
    """Collects the tags and the text, and fails on attributes, comments and declarations."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.odd: list[object] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.odd += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_decl(self, decl: str) -> None:
        self.odd.append(decl)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)


def _version(text: Any) -> dict[str, Any]:
    return {
        "model": text,
        "number": text,
        "semver": text,
        "stage": text,
        "reasons": [text],
        "withdrawn": text,
        "creator": text,
        "registered_at": text,
        "registered_by": text,
        "bump": {"level": text, "rule": text, "note": text},
        "training": {"dataset": {"name": text}},
        "artifact_digest": text,
        "aliases": [text],
        "notes": [text],
        "rollouts": [{"environment": text, "percent": text}],
        "retired": {"rule": text},
        "evaluations": [{"name": text, "value": text, "dataset_name": text, "primary": True}],
    }


def _diff(text: Any) -> dict[str, Any]:
    change = {"part": text, "level": text, "detail": text, "before": {text: text}, "after": [text]}
    return {"old": {"number": text, "semver": text}, "new": {"number": text}, "changes": [change]}


def _run(text: str) -> Run:
    run = capture({"key": text}, code=[])
    run.dataset = {"name": text, "digest": text}
    run.features = [text]
    run.metrics = [{"name": text, "value": text, "dataset_name": text}]
    run.model_schema = {"inputs": [{"name": text}]}
    return run


def _loaded(text: str) -> Loaded:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return Loaded(text, text, 3, text, text, Path("/nowhere"), {"stage": text}, lambda _: None, now)


def _everything(text: str) -> Mapping[str, str]:
    return {
        "version": VersionShown(_version(text))._repr_html_(),
        "diff": DiffShown(_diff(text))._repr_html_(),
        "registered": Registered(text, text, 3, text, text, version=_version(text))._repr_html_(),
        "loaded": _loaded(text)._repr_html_(),
        "run": _run(text)._repr_html_(),
        "fields": html.fields(text, {text: text}),
    }


def _is_safe(shown: str, text: str) -> None:
    read = Reader(shown)
    assert read.tags <= ALLOWED
    assert read.odd == []
    assert all(c.isprintable() or c in "\n\t" for c in read.text)
    visible = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
    assert visible in read.text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    for shown in _everything(text).values():
        _is_safe(shown, text)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
@pytest.mark.slow
def test_nothing_foreign_becomes_markup(text: str) -> None:
    for shown in _everything(text).values():
        _is_safe(shown, text)


ODD = [
    None,
    True,
    3,
    0.5,
    "x",
    [],
    [1],
    [[]],
    [None],
    {},
    {"a": [1]},
    [{}],
    [{"environment": {}}],
    {"passed": []},
]


@given(
    st.dictionaries(st.sampled_from([*_version(""), "gates", "changes", "old", "new"]), st.sampled_from(ODD))
)
def test_an_answer_of_any_form_is_shown(answer: dict[str, Any]) -> None:
    for shown in (VersionShown(answer)._repr_html_(), DiffShown(answer)._repr_html_()):
        assert Reader(shown).tags <= ALLOWED


def test_a_version_shows_its_stage_its_bump_and_its_metrics() -> None:
    evaluation = {"name": "auc", "value": 0.94, "dataset_name": "holdout", "primary": True}
    found = {
        "model": "churn",
        "number": 3,
        "semver": "1.3.0",
        "stage": "Staging",
        "bump": {"level": "minor", "rule": "metric_better"},
        "evaluations": [evaluation],
    }
    text = Reader(html.version(found)).text
    assert "churn 1.3.0, number 3" in text
    assert "Staging" in text
    assert "minor, metric_better" in text
    assert "auc0.94holdoutyes" in text


def test_a_diff_shows_each_change() -> None:
    change = {
        "part": "config",
        "level": "minor",
        "breaking": False,
        "detail": "C",
        "before": 1.0,
        "after": 2.0,
    }
    found = {
        "old": {"number": 3, "semver": "1.2.0"},
        "new": {"number": 4, "semver": None},
        "changes": [change],
    }
    text = Reader(html.diff(found)).text
    assert "from 3 (1.2.0) to 4 (draft)" in text
    assert "configminorC1.02.0" in text


def test_long_values_and_many_rows_are_cut() -> None:
    shown = html.diff({"changes": [{"part": "x" * 10_000}] * 1_000})
    assert len(shown) < 500 * 2_500
    assert "and 800 more" in shown


def test_showing_a_run_changes_nothing_of_it() -> None:
    run = _run("x")
    run._repr_html_()
    assert run.trained_at is None


def test_answers_are_dictionaries_as_before(answers: Answers, profile: Profile) -> None:
    stored = {"model": "churn", "number": 3, "semver": "1.3.0", "stage": "Staging"}
    answers.fixed["GET", "/v1/models/churn/versions/3"] = JSONResponse(stored)
    answers.fixed["GET", "/v1/models/churn/diff"] = JSONResponse({"changes": []})
    with Client(profile, patience=QUICK) as client:
        version, diff = client.version("churn@3"), client.diff("churn", "2", "3")
    assert version == stored
    assert json.loads(json.dumps(version)) == stored
    assert pickle.loads(pickle.dumps(version)) == stored  # noqa: S301 - its own bytes
    assert version["stage"] == "Staging"
    assert "churn 1.3.0" in version._repr_html_()  # type: ignore[attr-defined]
    assert diff["changes"] == []
    assert "<table>" in diff._repr_html_()  # type: ignore[attr-defined]
