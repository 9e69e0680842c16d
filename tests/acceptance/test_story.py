"""`make demo`: the whole story by the same command, on its own servers."""

from __future__ import annotations

import re

import pytest

from services.local.supervisor_state import read_state

from .conftest import DemoRun

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

HAPPENED = [
    r"^1\. Training",
    r"^2\. Publishing",
    r"registered as 1\.0\.0 \(#1, the first\): because first",
    r"registered as 1\.0\.1 .*: PATCH because data\.changed",
    r"registered as 1\.1\.0 .*: MINOR because code\.changed",
    r"registered as 2\.0\.0 .*: MAJOR because schema\.required_input_added",
    r"refused: training\.dataset\.digest: missing",
    r"as a draft: #5, no semantic version yet",
    r"completed with the hash: 1\.0\.2",
    r"dead letter for a forged signature: .*signature",
    r"dead letter for bytes that are no event: ",
    r"^3\. Verdicts",
    r"\(#6, .*is Rejected: .*differs from what was claimed",
    r"^4\. Production",
    r"Ada approves her own version: refused",
    r"Grace approves",
    r"Edsger approves",
    r"1\.0\.0 \(#1, the first\) is in Production",
    r"\(#7, worse than the others\) stays in Staging, blocked: accuracy",
    r"traffic 90/10",
    r"switched: 1\.1\.0",
    r"rolled back: 1\.0\.0",
    r"^5\. Cleanup",
    r"goes  1\.1\.0 .*: last used",
    r"stays 1\.0\.0 .*a rollback in production would return to it",
    r"stays 2\.0\.0 .*legal hold",
    r"its artifact is deleted; the tombstone keeps sha256:",
    r"^6\. Audit",
    r"by Edsger Dijkstra",
    r"after the first promotion .*: 1\.0\.0 at 100 %",
    r"after the switch .*: 1\.1\.0 at 100 %",
    r"after the rollback .*: 1\.0\.0 at 100 %",
    r"exported log: \d+ events as Parquet files, verified offline with a signed log checkpoint of size \d+",
    r"registry: \d+ events → \d+ rows, equal to before",
    r"cleanup: \d+ events → \d+ rows, equal to before",
    r"^Done in ",
    r"stopped: supervisor, ",
]


def test_the_demo_runs_in_order_and_leaves_no_process_behind(demo: DemoRun) -> None:
    assert demo.code == 0, demo.output + demo.errors
    at = 0
    for line in HAPPENED:
        found = re.compile(line, re.MULTILINE).search(demo.output, at)
        assert found, f"{line!r} did not happen, or too early:\n{demo.output}"
        at = found.end()
    state = read_state(demo.folder)
    assert state
    assert not [one.name for one in (state.supervisor, *state.identities()) if one.alive()]
