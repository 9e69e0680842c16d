"""The first screen of a review: the request, what changed, and who may decide."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regista.cli.terminal.output import print_table, say, to_the_second
from regista.cli.terminal.people import Shown, naming
from regista.cli.terminal.session import Session
from regista.cli.terminal.stored_names import explain_stored_names
from regista.cli.timeline import finding

if TYPE_CHECKING:
    from regista.client.sync_client import Client

LINES = 12
"""The number of differences of one kind that the first screen shows."""

ENTRIES = {
    "ReviewApproved": "approved",
    "ReviewRejected": "rejected",
    "ReviewCommented": "commented",
    "ReviewLapsed": "lapsed",
    "ReviewExpired": "expired",
    "ReviewRefreshed": "goes on",
    "OverrideUsed": "overrode",
    "OverrideReviewed": "reviewed the override",
    "AfterReviewOverdue": "after-review overdue",
}


def show_review(session: Session, client: Client, found: Mapping[str, Any], *, full: bool = False) -> None:
    """Print a review for people, with names beside the subjects; with `full` all its evidence, too."""
    summary, entries = found.get("summary") or {}, found.get("entries") or []
    requested = summary.get("requested") or {}
    deciders = summary.get("deciders") or []
    subjects = (
        requested.get("by"),
        summary.get("creator"),
        *(d.get("subject") for d in deciders),
        *(found.get("excluded") or ()),
        *(found.get("approvers") or ()),
        *(e.get("by") for e in entries),
    )
    shown = naming(session, client, subjects)
    for line in _head(found, summary, shown):
        say(line)
    _print_changes(summary, None if full else LINES)
    for line in _decision(found, summary, shown):
        say(line)
    _print_entries(entries, shown)
    if full:
        say("")
        everything = {name: value for name, value in found.items() if name not in {"summary", "entries"}}
        session.heading(everything)
        explain_stored_names(session, everything)
    elif session.for_people:
        say(f"all evidence: regista reviews show {found['review_id']} --full", err=True)


def _head(found: Mapping[str, Any], summary: Mapping[str, Any], shown: Shown) -> Iterator[str]:
    requested = summary.get("requested") or {}
    approvers = found.get("approvers") or []
    state = f"{found.get('state')}, {len(approvers)} of {found.get('needs')} approved"
    until = f", expires {to_the_second(found['expires_at'])}" if found.get("expires_at") else ""
    yield (
        f"{found.get('model')}@{found.get('number')} ({found.get('semver')}) for {found.get('environment')}: "
        f"{state}{until}"
    )
    why = f": {requested['reason']}" if requested.get("reason") else ", without a reason"
    yield f"requested by {shown(requested.get('by'))}{why}"
    if summary.get("creator"):
        run = f", run {summary['run_url']}" if summary.get("run_url") else ""
        yield f"made by {shown(summary['creator'])}{run}"
    if found.get("serve") and found.get("state") == "open":
        yield "the last approval gives it all requests, where no version serves"
    if found.get("due_at") and found.get("state") == "overridden":
        late = " (overdue)" if found.get("overdue_since") else ""
        yield f"after-review due {to_the_second(found['due_at'])}{late}"
    yield ""


def _print_changes(summary: Mapping[str, Any], most: int | None) -> None:
    """Print how the version differs from the champion, with at most `most` differences of one kind."""
    champion, changes = summary.get("champion"), summary.get("changes") or {}
    named = f"{champion['number']} ({champion['semver']})" if champion else ""
    say(f"against the champion {named}:" if champion else "no champion to compare with; this version has:")
    rows, left_out = [], 0
    for part, lines in changes.items():
        rows += [
            {
                "what": f"{part}: {line['name']}" if line["name"] else part,
                "champion": _value(line["champion"]),
                "this version": _value(line["candidate"]),
                "note": line.get("note") or "",
            }
            for line in lines[:most]
        ]
        left_out += len(lines) - len(lines[:most])
    if rows:
        shown = ("what", "champion", "this version", "note") if champion else ("what", "this version")
        print_table(rows, [(name, name) for name in shown])
    else:
        say("nothing differs")
    if left_out:
        say(f"{left_out} further differences: --full")
    say("")


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.startswith("sha256:") and len(text) > 24:
        return f"{text[:19]}…"
    return text if len(text) <= 60 else f"{text[:59]}…"


def _decision(found: Mapping[str, Any], summary: Mapping[str, Any], shown: Shown) -> Iterator[str]:
    callers, policy = summary.get("callers") or {}, summary.get("policy") or {}
    if callers.get("notice"):
        yield f"callers: {callers['notice']}"
    yield from (f"  breaks: {one}" for one in callers.get("breaks") or ())
    results = found.get("results") or []
    failed = [r for r in results if not r["passed"]]
    yield f"gates: {len(results) - len(failed)} passed, {len(failed)} failed"
    yield from (f"  failed: {r['gate']}: {r['detail']}" for r in failed)
    yield from (f"  to accept by name: {r['gate']}: {r['detail']}" for r in results if r.get("tick"))
    roles = " or ".join(policy.get("roles") or ())
    named = f"{policy.get('name')} revision {policy.get('revision')}"
    yield f"policy: {named}: {policy.get('approvers')} of {roles}"
    for machine, why in (policy.get("machines") or {}).items():
        yield f"  the machine {machine} may approve: {why}"
    if policy.get("dependent_because"):
        yield f"  approvers may depend on the makers: {policy['dependent_because']}"
    if (sign_in := policy.get("sign_in")) is not None:
        yield f"  approvers sign in, not with an API key{_sign_in(sign_in)}"
    if found.get("state") == "open":
        yield from _deciders(summary.get("deciders") or [], shown)
    sealed = ", ".join(f"{name} {_value(digest)}" for name, digest in (summary.get("sealed") or {}).items())
    yield f"sealed: {sealed}"
    yield ""


def _sign_in(asked: Mapping[str, Any]) -> str:
    """Return what a policy requires of the sign-in."""
    parts = [f"at most {asked['max_age']} ago"] if asked.get("max_age") else []
    parts += [f"{name} {' or '.join(asked[name])}" for name in ("acr", "amr") if asked.get(name)]
    return f": {', '.join(parts)}" if parts else ""


def _deciders(deciders: Sequence[Mapping[str, Any]], shown: Shown) -> Iterator[str]:
    able = ", ".join(shown(d["subject"]) for d in deciders if d["may_decide"])
    yield f"may decide: {able or 'no one: grant the role to a person who is independent'}"
    yield from (f"  may not: {shown(d['subject'])} {d['why_not']}" for d in deciders if not d["may_decide"])


def _did(entry: Mapping[str, Any]) -> str:
    """Return what the entry records, and what an after-review found."""
    did = ENTRIES.get(str(entry.get("kind")), str(entry.get("kind")))
    return ", ".join(part for part in (did, finding(entry.get("justified"))) if part)


def _print_entries(entries: Sequence[Mapping[str, Any]], shown: Shown) -> None:
    columns = [
        ("when", lambda e: to_the_second(e.get("at"))),
        ("who", lambda e: e.get("name") or shown(e.get("by"))),
        ("did", _did),
        ("comment", "text"),
        ("conditions", lambda e: "; ".join(e.get("conditions") or ())),
    ]
    if entries:
        print_table(entries, columns)
    else:
        say("no comments or decisions yet")
