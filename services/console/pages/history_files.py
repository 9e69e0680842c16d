"""What an auditor takes home: a report as CSV, the proof of an event, and a report with its proofs."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from regista.errors import Invalid
from regista.wire.csv_text import csv_text
from services.console.pages.history import kind_of, people_of, read
from services.console.plain_words import finding, found_by, in_words, reason_of
from services.console.view import Download, View

Json = Mapping[str, Any]
PROOF = "regista.proof.v1"
MOST_ROWS, ROWS_OF_A_PAGE = 10_000, 500
MOST_PROOFS, AT_A_TIME = 200, 8
TITLES = (
    "when",
    "what",
    "model",
    "version",
    "environment",
    "by",
    "requested by",
    "approved by",
    "why",
    "conditions",
    "after-review",
    "after-review by",
    "after-review comment",
    "leaf",
)
GUIDE = """\
{count} of {total} entries of the report come with the proof that they are in the sealed log. Each is
verified on any machine with the client of Regista, without a service:

  regista audit verify-proof proofs/leaf-{leaf}.json --key '{key}'

Compare the key with the one that you keep elsewhere. report.csv and report.json are not signed: trust
the proof of an entry, not its line in them.
"""
NO_PROOFS = """\
No entry of the report comes with a proof: the sealed log has no signed checkpoint over one of them yet.
Download the report again later. report.csv and report.json are not signed.
"""


async def _all(view: View, most: int) -> tuple[str, list[Json]]:
    """Return what the filters select, the newest first, at most `most`."""
    what, token, items = kind_of(view), "", list[Json]()
    if what == "timeline" and not view.query("model"):
        raise Invalid("no_model", "Name the model.", advice="The whole log has too many events.")
    while len(items) < most:
        page = await read(view, what, min(ROWS_OF_A_PAGE, most), token)
        items += page["items"]
        token = page["next_page_token"]
        if not token:
            break
    return what, items[:most]


async def _as_csv(view: View, what: str, items: Sequence[Json]) -> str:
    names = await view.names(people_of(list(items)))

    def named(subject: str) -> str:
        return (names.get(subject, subject) or f"erased person {subject}") if subject else ""

    rows = [_row(what, item, named) for item in items]
    return csv_text(TITLES, ([str(cell if cell is not None else "") for cell in row] for row in rows))


def _row(what: str, item: Json, named: Any) -> Sequence[object]:
    return _event_row(what, item, named) if what in {"timeline", "attempts"} else _decided(what, item, named)


def _event_row(what: str, item: Json, named: Any) -> Sequence[object]:
    data = item.get("data") or {}
    by = (
        str(data.get("subject") or "")
        if what == "attempts"
        else _subject(item.get("by") or item.get("actor"))
    )
    words = _words(item) if what == "timeline" else data.get("code") or in_words(item)
    number, where = item.get("number"), item.get("environment")
    head = (item["recorded_at"], words, "", number, where, named(by), "", "", reason_of(item))
    return (*head, "", "", "", "", item["leaf_index"])


def _words(event: Json) -> str:
    """Return what the actor did, and what an after-review found."""
    words, found = in_words(event), found_by(event)
    return f"{words.removesuffix(' of')}, {found}" if found else words


def _decided(what: str, item: Json, named: Any) -> Sequence[object]:
    promotion = item.get("promotion") or {}
    requested, approvers = promotion.get("requested") or {}, promotion.get("approvers") or ()
    return (
        item["at"],
        what.rstrip("s"),
        item["model"],
        item["number"],
        item["environment"],
        named(_subject(item.get("by"))),
        named(_subject(requested.get("by"))),
        "; ".join(named(a["subject"]) for a in approvers),
        "; ".join(item["reasons"]) or requested.get("reason", ""),
        "; ".join(condition for a in approvers for condition in a.get("conditions") or ()),
        *_after_review(what, item.get("after_review"), named),
        item["event"]["leaf_index"],
    )


def _after_review(what: str, made: Json | None, named: Any) -> tuple[str, str, str]:
    """Return what the after-review of an override found, who made it, and the comment."""
    if made:
        return finding(made["justified"]), named(_subject(made["by"])), made["comment"] or ""
    return "missing" if what == "overrides" else "", "", ""


def _subject(who: Json | None) -> str:
    return str((who or {}).get("subject", ""))


async def report(view: View) -> tuple[str, bytes]:
    """Return what the filters select as CSV."""
    what, items = await _all(view, MOST_ROWS)
    return f"{what}.csv", (await _as_csv(view, what, items)).encode()


async def bundle(view: View) -> tuple[str, bytes]:
    """Return the report with the proofs of its newest entries, verifiable without a server, as a zip file."""
    what, items = await _all(view, MOST_ROWS)
    leaves = [leaf for item in items if (leaf := _leaf(item)) is not None]
    checkpoints = await view.calls.get("audit", "/log-checkpoints", page_size=1)
    signed = checkpoints["items"][0]["size"] if checkpoints["items"] else 0
    wanted = sorted({leaf for leaf in leaves if leaf < signed}, reverse=True)[:MOST_PROOFS]
    limit = asyncio.Semaphore(AT_A_TIME)

    async def proof(leaf: int) -> tuple[int, Json]:
        async with limit:
            return leaf, await _proof(view, leaf, checkpoints)

    proofs = await asyncio.gather(*map(proof, wanted))
    guide = NO_PROOFS
    if proofs:
        counts = {"count": len(proofs), "total": len(items)}
        guide = GUIDE.format(**counts, leaf=proofs[0][0], key=checkpoints["verifier_key"])
    files = {
        "README.txt": guide.encode(),
        "report.csv": (await _as_csv(view, what, items)).encode(),
        "report.json": msgspec.json.encode(items),
        "log-checkpoint.note": str(checkpoints["items"][0]["note"] if signed else "").encode(),
        **{f"proofs/leaf-{leaf}.json": msgspec.json.encode(one) for leaf, one in proofs},
    }
    return f"{what}-{datetime.now(UTC):%Y-%m-%d}.zip", _zipped(files)


def _leaf(item: Json) -> int | None:
    found = (item.get("event") or item).get("leaf_index")
    return found if isinstance(found, int) else None


def _zipped(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return written.getvalue()


async def _proof(view: View, leaf: int, checkpoints: Json) -> Json:
    """Return the proof of an event as `regista audit verify-proof` reads it, with the key beside it."""
    newest = next(iter(checkpoints["items"]), None)
    size = newest["size"] if newest and newest["size"] > leaf else None
    inclusion = await view.calls.get("audit", "/proofs/inclusion", leaf_index=leaf, size=size)
    return {
        "format": PROOF,
        **{name: inclusion[name] for name in ("leaf_index", "size", "proof", "stored")},
        "checkpoint": newest["note"] if newest else "",
        "origin": checkpoints["origin"],
        "verifier_key": checkpoints["verifier_key"],
        "log_checkpoint": newest,
        "inclusion": inclusion,
    }


async def proof_of(view: View) -> tuple[str, bytes]:
    """Return an event with its inclusion proof and the signed log checkpoint, verifiable without a server."""
    leaf = view.param("leaf")
    if not leaf.isdigit() or len(leaf) > 18:
        raise Invalid("invalid_leaf", "A leaf has a number.")
    checkpoints = await view.calls.get("audit", "/log-checkpoints", page_size=1)
    return f"proof-of-leaf-{leaf}.json", msgspec.json.encode(await _proof(view, int(leaf), checkpoints))


DOWNLOADS = (
    Download("/history/report.csv", report),
    Download("/history/bundle.zip", bundle),
    Download("/history/proofs/{leaf}", proof_of),
)
