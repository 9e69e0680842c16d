"""Compare what was acknowledged with the raw log, the dead letters and the stored bytes.

It imports nothing of the services or the kernel: it reads rows, JSON, records and objects by itself. `check`
returns one line for each difference that it cannot explain.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Position = tuple[int, int]

# For each kind of command: the service and the event that it must have led to exactly once.
EVENTS = {
    "register": ("registry", {"VersionRegistered"}),
    "promote": ("registry", {"PromotionRequested"}),
    "rollout": ("registry", {"RolloutChanged"}),
    "rollback": ("registry", {"RolledBack"}),
    "alias": ("registry", {"AliasSet"}),
    "retention": ("cleanup", {"RetentionChanged"}),
    "sweep": ("cleanup", {"SweepPlanned"}),
}
SERVES = {"RolloutChanged", "RolledBack"}
ENDED = {"ArtifactExpired", "ArtifactDeleted", "ArtifactQuarantined", "ArtifactMismatched"}


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the log, with its envelope read from the stored bytes."""

    service: str
    stream: str
    revision: int
    at: Position
    type: str
    id: str
    correlation: str
    causation: str
    data: dict[str, Any]


def event_of(row: Mapping[str, Any]) -> Event:
    """Read a row of `SELECT service, stream, revision, tx, seq, bytes FROM log.events`."""
    envelope = json.loads(row["bytes"])
    return Event(
        row["service"],
        row["stream"],
        row["revision"],
        (int(row["tx"]), row["seq"]),
        envelope["type"],
        str(envelope["id"]),
        envelope.get("correlation_id", ""),
        envelope.get("causation_id", ""),
        envelope["data"],
    )


@dataclass(slots=True)
class Facts:
    """What the checker compares.

    `dead` are the ids of dead-lettered messages. `seen` is what the reader of each partition got, in its
    order. `read_object` returns the bytes under a URI, or None.
    """

    journal: list[dict[str, Any]]
    events: list[Event]
    dead: set[str]
    seen: Mapping[str, list[Position]]
    read_object: Callable[[str], bytes | None]
    by_correlation: dict[str, list[Event]] = field(init=False)
    by_causation: dict[str, list[Event]] = field(init=False)
    models: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.by_correlation, self.by_causation = defaultdict(list), defaultdict(list)
        self.models = {}
        for event in self.events:
            self.by_correlation[event.correlation].append(event)
            self.by_causation[event.causation].append(event)
            if event.type == "ModelRegistered":
                self.models[event.data["model"]] = event.stream


def check(facts: Facts) -> list[str]:
    """Return every difference that has no explanation."""
    return [
        *streams_in_order(facts.events),
        *nothing_twice(facts.events),
        *answers_have_their_events(facts),
        *messages_have_an_outcome(facts),
        *released_bytes_are_there(facts),
        *nothing_retired_that_is_needed(facts.events),
        *nothing_behind_a_cursor(facts),
        *no_internal_error(facts.journal),
    ]


def streams_in_order(events: Iterable[Event]) -> Iterator[str]:
    """Each stream has the revisions 1..n, in the order of (tx, seq)."""
    streams: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in sorted(events, key=lambda e: e.at):
        streams[event.service, event.stream].append(event.revision)
    for (service, stream), revisions in streams.items():
        if revisions != list(range(1, len(revisions) + 1)):
            yield f"{service}/{stream}: the revisions in the order of (tx, seq) are {revisions[:50]}"


def nothing_twice(events: Iterable[Event]) -> Iterator[str]:
    """No event id stands twice in the log."""
    for (_, id_), times in Counter((e.service, e.id) for e in events).items():
        if times > 1:
            yield f"{id_} stands {times} times in the log"


def answers_have_their_events(facts: Facts) -> Iterator[str]:
    """Every command that was answered with success has its event exactly once."""
    for line in facts.journal:
        if line["what"] != "answered":
            continue
        service, types = EVENTS[line["kind"]]
        own = [e for e in facts.by_correlation[line["key"]] if e.service == service and e.type in types]
        if len(own) == 1 and (why := _differs(line, own[0])):
            yield f"{line['kind']} {line['key']}: {why}"
        elif len(own) != 1 and not (not own and _was_true_already(line, facts)):
            yield f"{line['kind']} {line['key']} at {line['path']} has {len(own)} events: {line['answer']}"


def _differs(line: Mapping[str, Any], event: Event) -> str:
    """Return how the event of a change of a rollout differs from what was sent; "" when it does not."""
    if line["kind"] != "rollout":
        return ""
    sent, stored = _entries(line["sent"]), _entries(event.data)
    return "" if sent == stored else f"sent {sent}, stored {stored}"


def _entries(data: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    return sorted((e["number"], e["percent"], e["role"]) for e in data["entries"])


def _was_true_already(line: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether the command could change nothing, because it was true in the revision answered."""
    stream = facts.models.get(line.get("model", ""), "")
    revision = int(str(line["etag"]).strip('W/"') or 0)
    of_stream = [e for e in facts.events if e.stream == stream and e.service == "registry"]
    match line["kind"]:
        case "rollout":
            sent = _entries(line["sent"])
            held = [
                e for e in of_stream if e.type in {"RolloutChanged", "RolledBack"} and e.revision == revision
            ]
            return any(
                sorted((x["number"], x["percent"], x["role"]) for x in e.data["entries"]) == sent
                for e in held
            )
        case "alias":
            number = line["sent"]["number"]
            held = [e for e in of_stream if e.type == "AliasSet" and e.revision <= revision]
            return bool(held) and held[-1].data["number"] == number
        case "promote":
            # an open request over the same evidence, or a grant, is answered again
            open_ = line["answer"].get("promotion_id", "")
            return any(
                e.type in {"PromotionRequested", "VersionPromoted"} and e.data["promotion_id"] == open_
                for e in facts.events
            )
        case "retention":
            return True  # the same policy again
    return False


def messages_have_an_outcome(facts: Facts) -> Iterator[str]:
    """Every message that Kafka stored led to one registration, to one refusal, or to a dead letter."""
    for line in facts.journal:
        if line["what"] != "stored":
            continue
        own = [
            e
            for e in facts.by_causation[line["id"]]
            if e.service == "registry" and e.type in {"VersionRegistered", "RegistrationRefused"}
        ]
        found = [e.type for e in own] + (["dead letter"] if line["id"] in facts.dead else [])
        if found != [line["expected"]]:
            position = f"{line['model']} (partition {line['partition']}, offset {line['offset']})"
            yield f"message {line['id']} of {position}: expected {line['expected']}, found {found}"


def released_bytes_are_there(facts: Facts) -> Iterator[str]:
    """Every artifact that is released has its files, and they hash to its digest."""
    files = {
        e.data["metadata"]["artifact"]["digest"]: e.data["metadata"]["artifact"]["files"]
        for e in facts.events
        if e.type == "VersionRegistered" and e.data["metadata"].get("artifact")
    }
    released: dict[str, tuple[int, str]] = {}
    for event in (e for e in facts.events if e.service == "artifact"):
        digest = event.data.get("digest", "")
        if event.type == "ArtifactReleased":
            released[digest] = (event.data["generation"], event.data["uri"])
        elif event.type in ENDED and digest in released and event.data["generation"] >= released[digest][0]:
            del released[digest]
    for digest, (generation, uri) in released.items():
        listed = sorted(files.get(digest, ()), key=lambda f: f["path"])
        canonical = {"files": [{k: f[k] for k in ("path", "sha256", "size")} for f in listed]}
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode()
        if digest != "sha256:" + hashlib.sha256(text).hexdigest():
            yield f"{digest}: its list of files does not hash to it"
        for one in listed:
            content = facts.read_object(f"{uri}/{one['path']}")
            if content is None:
                yield f"{digest} (generation {generation}): the bytes of {one['path']} are gone"
            elif hashlib.sha256(content).hexdigest() != one["sha256"].removeprefix("sha256:"):
                yield f"{digest} (generation {generation}): {one['path']} has other bytes"


@dataclass(slots=True)
class Serving:
    """Who served in one environment of one model, from the events of its stream."""

    entries: dict[int, int] = field(default_factory=dict)
    champion: int = 0
    last: int = 0
    before: dict[int, int] = field(default_factory=dict)
    started: dict[int, int] = field(default_factory=dict)
    rolled_back: set[int] = field(default_factory=set)

    def change(self, event: Event) -> None:
        entries = {e["number"]: e["percent"] for e in event.data["entries"]}
        champion = next((e["number"] for e in event.data["entries"] if e["role"] == "champion"), 0)
        if event.type == "RolledBack":
            left, to = event.data["from_number"], event.data["to_number"]
            if self.started.get(to, 0) < self.started.get(left, 0):
                self.rolled_back.add(left)
            self.rolled_back.discard(to)
        for number, percent in entries.items():
            if percent and number not in self.before:
                self.before[number] = self.champion or self.last
        if champion:
            self.started.setdefault(champion, event.revision)
            self.last = champion
        self.entries, self.champion = entries, champion

    def target(self, unusable: set[int]) -> int:
        """Return where a rollback of the champion goes: what served before it, and can serve."""
        number = self.before.get(self.champion, 0)
        seen: set[int] = set()
        while number and number not in seen:
            if number not in unusable and number not in self.rolled_back:
                return number
            seen.add(number)
            number = self.before.get(number, 0)
        return 0


def nothing_retired_that_is_needed(events: Iterable[Event]) -> Iterator[str]:
    """No version is retired that serves, that a rollback goes to, or that an alias names."""
    serving: dict[str, dict[str, Serving]] = defaultdict(lambda: defaultdict(Serving))
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    unusable: dict[str, set[int]] = defaultdict(set)
    for event in sorted((e for e in events if e.service == "registry"), key=lambda e: (e.stream, e.revision)):
        number = event.data.get("number", 0)
        match event.type:
            case type_ if type_ in SERVES:
                serving[event.stream][event.data["environment"]].change(event)
            case "AliasSet":
                aliases[event.stream][event.data["alias"]] = number
            case "AliasRemoved":
                aliases[event.stream].pop(event.data["alias"], None)
            case "VersionRecalled" | "VersionRejected":
                unusable[event.stream].add(number)
            case "VersionReinstated":
                unusable[event.stream].discard(number)
            case "VersionRetired":
                needed = [
                    *_needed(number, serving[event.stream], unusable[event.stream]),
                    *(f"is {name}" for name, n in aliases[event.stream].items() if n == number),
                ]
                for why in needed:
                    yield f"{event.stream}@{number} was retired at revision {event.revision} and {why}"
                unusable[event.stream].add(number)


def _needed(number: int, serving: Mapping[str, Serving], unusable: set[int]) -> Iterator[str]:
    for name, one in serving.items():
        if number in one.entries or number == one.last:
            yield f"serves in {name}"
        if number == one.target(unusable):
            yield f"is the rollback target of {name}, where {one.champion} serves"


def nothing_behind_a_cursor(facts: Facts) -> Iterator[str]:
    """Up to its cursor a reader has seen every event of its partition, once, in the order of the log."""
    for partition, seen in facts.seen.items():
        if not seen:
            if any(e.service == partition for e in facts.events):
                yield f"the reader of {partition} saw nothing"
            continue
        there = sorted(e.at for e in facts.events if e.service == partition and e.at <= seen[-1])
        if there != seen:
            missing, more = set(there) - set(seen), set(seen) - set(there)
            yield f"the reader of {partition} missed {sorted(missing)[:5]}, and saw {sorted(more)[:5]} beside"


def no_internal_error(journal: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """No request was answered with 500."""
    for line in journal:
        if line["what"] == "internal error":
            yield f"{line['path']} was answered 500: {line['detail']}"


def dead_letter_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """Return the message id of a record on a dead-letter topic."""
    return next((value.decode() for name, value in headers if name == "ce_id"), "")
