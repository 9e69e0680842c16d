"""Events reach a program verified, in order and without a loss, whatever breaks off."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from regista.cli import root
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import Forbidden, Invalid, Unauthorized, Unavailable
from regista.wire.dsse import generate_signing_key

from .event_service import KEY, EventService, event, key_of, serving

QUICK = Patience(attempts=4, first=0.001, longest=0.01)


@pytest.fixture
def service() -> Iterator[EventService]:
    with serving(EventService([event(number) for number in range(8)])) as found:
        yield found


def followed(service: EventService, folder: Path, **asked: Any) -> list[Any]:
    profile = Profile(url=service.url, api_key="rg_a_b", cache_dir=str(folder), usage_window=0)
    with Client(profile, patience=QUICK) as client:
        return list(client.events(**{"since": "2026-03-01", "follow": False} | asked))


def regista(service: EventService, folder: Path, *words: str) -> Result:
    environment = {
        "REGISTA_URL": service.url,
        "REGISTA_API_KEY": "rg_a_b",
        "REGISTA_CONFIG": str(folder / "none"),
        "REGISTA_CACHE_DIR": str(folder),
        "REGISTA_USAGE_WINDOW": "0",
    }
    return CliRunner().invoke(root, list(words), env=environment)


def test_an_event_has_its_name_its_place_and_its_data(service: EventService, tmp_path: Path) -> None:
    first = followed(service, tmp_path)[0]
    assert (first.type, first.service, first.stream, first.revision) == (
        "VersionValidated",
        "registry",
        "model-0",
        1,
    )
    assert first.recorded_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert first.data["model"] == "fraud.scoring"
    assert first.as_json()["data"] == first.data


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(cuts=[0, 3, 400, 900])
@given(st.lists(st.integers(0, 4_000), max_size=4))
@pytest.mark.slow
def test_no_event_is_lost_or_out_of_order_over_any_cuts(tmp_path: Path, cuts: list[int]) -> None:
    with serving(EventService([event(number) for number in range(8)], [2_000, *cuts])) as service:
        found = followed(service, tmp_path, follow=True)
    assert [one.id for one in found] == [f"id-{number}" for number in range(8)]


def test_a_job_that_reads_up_to_the_present_ends_while_kafka_is_unavailable(
    service: EventService, tmp_path: Path
) -> None:
    service.end = "unavailable"
    with pytest.raises(Unavailable, match="it ends"):
        followed(service, tmp_path)
    assert len(service.requests) == 1 + QUICK.attempts


def test_a_connection_that_broke_off_is_opened_where_it_ended(service: EventService, tmp_path: Path) -> None:
    service.cuts = [2_000]
    found = followed(service, tmp_path)
    assert "last-event-id" not in service.requests[0][1]
    assert service.requests[1][1]["last-event-id"] in {one.cursor for one in found}


def test_a_bookmark_continues_behind_the_last_event_that_was_handled(
    service: EventService, tmp_path: Path
) -> None:
    bookmark = tmp_path / "folder" / "bookmark"
    assert len(followed(service, tmp_path, bookmark=bookmark)) == 8
    service.events += [event(8), event(9)]
    assert [one.id for one in followed(service, tmp_path, bookmark=bookmark)] == ["id-8", "id-9"]


def test_an_event_whose_handling_failed_comes_again(service: EventService, tmp_path: Path) -> None:
    profile = Profile(url=service.url, api_key="rg_a_b", cache_dir=str(tmp_path), usage_window=0)
    bookmark = tmp_path / "bookmark"
    with Client(profile, patience=QUICK) as client:
        for one in client.events(since="2026-03-01", bookmark=bookmark):
            if one.id == "id-3":
                break
    assert followed(service, tmp_path, bookmark=bookmark)[0].id == "id-3"


def test_a_bookmark_of_another_registry_is_refused(service: EventService, tmp_path: Path) -> None:
    bookmark = tmp_path / "bookmark"
    followed(service, tmp_path, bookmark=bookmark)
    content = json.loads(bookmark.read_bytes()) | {"url": "https://other.example"}
    bookmark.write_text(json.dumps(content))
    with pytest.raises(Invalid, match="bookmark_of_another_registry"):
        followed(service, tmp_path, bookmark=bookmark)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"url":"x","cursor":"?"}'])
def test_a_file_that_is_no_bookmark_is_refused(service: EventService, tmp_path: Path, content: str) -> None:
    (tmp_path / "bookmark").write_text(content)
    with pytest.raises(Invalid, match="no_bookmark"):
        followed(service, tmp_path, bookmark=tmp_path / "bookmark")


STRANGER = generate_signing_key("service:registry")
OTHER = generate_signing_key("service:approval")


@pytest.mark.parametrize(
    ("wrong", "keys"),
    [
        (event(1, STRANGER), []),
        (event(1, OTHER), [key_of(OTHER)]),
        (event(1, STRANGER), [key_of(STRANGER, compromised=True)]),
        (event(1, STRANGER), [key_of(STRANGER, valid_until="2026-03-01T12:00:30+00:00")]),
        (event(1, STRANGER, source="/regista/other"), [key_of(STRANGER)]),
    ],
    ids=["unknown key", "of another service", "compromised", "ended before", "no service"],
)
def test_an_event_that_no_service_signed_is_passed_over_with_a_warning(
    service: EventService,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    wrong: Any,
    keys: list[dict[str, Any]],
) -> None:
    service.events[1] = wrong
    service.keys += keys
    with caplog.at_level(logging.WARNING, "regista"):
        found = followed(service, tmp_path)
    assert [one.id for one in found] == [f"id-{number}" for number in range(8) if number != 1]
    assert "'id-1' is passed over" in caplog.text


def test_an_altered_event_is_passed_over(service: EventService, tmp_path: Path) -> None:
    body = service.body("")
    service.body = lambda _: body.replace(b'"number": 2', b'"number": 7')  # type: ignore[method-assign]
    assert "id-2" not in {one.id for one in followed(service, tmp_path)}


def test_a_key_that_ended_later_is_good_for_earlier_events(service: EventService, tmp_path: Path) -> None:
    service.keys = [key_of(KEY, valid_until="2026-03-01T12:04:00+00:00")]
    assert len(followed(service, tmp_path)) == 4


def test_a_revoked_api_key_ends_the_iteration(service: EventService, tmp_path: Path) -> None:
    service.end = "key_ended"
    with pytest.raises(Unauthorized, match="key_ended"):
        followed(service, tmp_path, follow=True)


def test_a_cursor_of_another_log_is_refused_with_what_to_do(service: EventService, tmp_path: Path) -> None:
    service.end = "cursor_unknown"
    with pytest.raises(Invalid, match="cursor_unknown") as raised:
        followed(service, tmp_path, follow=True)
    assert "since" in raised.value.advice


def test_a_refusal_of_the_first_request_is_raised(service: EventService, tmp_path: Path) -> None:
    service.refusals = [403]
    with pytest.raises(Forbidden, match="refused_here"):
        followed(service, tmp_path, follow=True)
    service.refusals = [503] * 9
    with pytest.raises(Unavailable):
        followed(service, tmp_path, follow=True)


def test_a_service_that_is_unreachable_for_a_while_is_waited_for(
    service: EventService, tmp_path: Path
) -> None:
    service.cuts = [2_000]
    found = []
    profile = Profile(url=service.url, api_key="rg_a_b", cache_dir=str(tmp_path), usage_window=0)
    with Client(profile, patience=QUICK) as client:
        for one in client.events(since="2026-03-01"):
            found.append(one.id)
            if len(found) == 1:
                service.refusals = [503] * 9
    assert found == [f"id-{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"since": "yesterday"}, "invalid_cursor"),
        ({"since": "2026-13-01"}, "no_time"),
        ({"since": datetime(2026, 3, 1)}, "no_time_zone"),  # noqa: DTZ001 - what is refused
        ({"types": ["VersionPromotd"]}, "unknown_event_type"),
        ({"types": "VersionPromotd"}, "unknown_event_type"),
    ],
)
def test_a_wrong_argument_is_refused_before_a_request(
    service: EventService, tmp_path: Path, asked: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        followed(service, tmp_path, **asked)
    assert service.requests == []


def test_the_service_gets_what_was_asked_for(service: EventService, tmp_path: Path) -> None:
    followed(service, tmp_path, model="fraud.scoring", namespace="fraud", types="VersionPromoted")
    assert service.requests[0][0] == {
        "since": "2026-03-01T00:00:00+00:00",
        "model": "fraud.scoring",
        "namespace": "fraud",
        "type": "VersionPromoted",
        "follow": "false",
    }


def test_tail_prints_the_newest_with_titles_in_a_pipe(service: EventService, tmp_path: Path) -> None:
    shown = regista(service, tmp_path, "events", "tail", "--since", "2026-03-01", "-n", "2")
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "when\twhat\tabout\tdetails",
        "2026-03-01T12:06:00Z\tVersionValidated\tfraud.scoring@6\t",
        "2026-03-01T12:07:00Z\tVersionValidated\tfraud.scoring@7\t",
    ]


@pytest.mark.parametrize("form", ["", "name", "csv"])
def test_tail_orders_the_events_of_all_services_by_time(
    service: EventService, tmp_path: Path, form: str
) -> None:
    service.events = [event(n) for n in (5, 6, 7, 1, 3, 2)]
    shape = ("-o", form) if form else ()
    shown = regista(service, tmp_path, "events", "tail", "--since", "2026-03-01", *shape).output
    assert re.findall(r"@(\d)|id-(\d)", shown) == [("", n) if form == "name" else (n, "") for n in "123567"]
    newest = regista(service, tmp_path, "events", "tail", "--since", "2026-03-01", "-n", "2", "-o", "name")
    assert newest.output.split() == ["id-6", "id-7"]


def test_each_format_is_one_of_lines(service: EventService, tmp_path: Path) -> None:
    tail = ("events", "tail", "--since", "2026-03-01")
    lines = regista(service, tmp_path, *tail, "--json").output.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"id-{number}" for number in range(8)]
    assert regista(service, tmp_path, *tail, "-o", "name").output.split() == [
        f"id-{number}" for number in range(8)
    ]
    table = regista(service, tmp_path, *tail, "-o", "csv").output.splitlines()
    assert table[0] == "when,what,about,details"
    assert len(table) == 9
    assert regista(service, tmp_path, *tail, "-o", "yaml").output.count("\n---\n") == 7


def test_types_may_be_one_list(service: EventService, tmp_path: Path) -> None:
    followed(service, tmp_path, types="VersionPromoted, RolledBack")
    assert service.requests[0][0]["type"] == "RolledBack,VersionPromoted"


def test_that_there_are_no_events_is_stated(service: EventService, tmp_path: Path) -> None:
    service.events = []
    shown = regista(service, tmp_path, "events", "tail")
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "there are no such events" in shown.stderr
    assert regista(service, tmp_path, "events", "tail", "--json").output == ""


@pytest.mark.parametrize("form", ["", "json", "yaml", "csv", "name", "wide"])
def test_hostile_events_are_printed_harmlessly(service: EventService, tmp_path: Path, form: str) -> None:
    hostile = "\x1b]0;pwned\x07\x1b[2J\u202egnp\u2066\u200b\x7f\x85\u2028\rx"
    service.events = [event(0, data={"model": hostile, "reason": hostile, hostile: [hostile]})]
    tail = ("events", "tail", "--since", "2026-03-01")
    shown = regista(service, tmp_path, *tail, *(["-o", form] if form else [])).output
    assert shown
    assert all(c.isprintable() or c in "\n\t" for c in shown)


def test_follow_ends_with_the_error_that_ended_it(service: EventService, tmp_path: Path) -> None:
    service.end = "key_ended"
    shown = regista(service, tmp_path, "events", "follow", "--since", "2026-03-01", "--json")
    assert shown.exit_code == 5
    assert json.loads(shown.stderr)["code"] == "key_ended"


def test_lines_and_a_bookmark_exclude_each_other(service: EventService, tmp_path: Path) -> None:
    shown = regista(service, tmp_path, "events", "tail", "-n", "2", "--bookmark", str(tmp_path / "b"))
    assert shown.exit_code == 2


def test_the_program_in_the_documents_runs_as_it_stands(
    service: EventService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (Path(__file__).parents[3] / "docs" / "events.md").read_text("utf-8")
    program = program.partition("```python\n")[2].partition("```")[0]
    settings = {
        "URL": service.url,
        "API_KEY": "rg_a_b",
        "CACHE_DIR": str(tmp_path),
        "CONFIG": str(tmp_path / "none"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"REGISTA_{name}", value)
    monkeypatch.chdir(tmp_path)
    service.events = [
        event(0, type="regista.registry.VersionPromoted.v1", data={"environment": "production"})
    ]
    exec(compile(program, "docs/events.md", "exec"), {})  # noqa: S102 - it is ours
    assert capsys.readouterr().out == "VersionPromoted fraud.scoring production\n"
    assert service.requests[0][0]["type"] == "RolledBack,VersionPromoted"
