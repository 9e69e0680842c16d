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
from services.console.plain_words import in_words
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
    "leaf",
)
GUIDE = """\
{count} of {total} entries of the report come with the proof that they are in the sealed log. Each is
verified on any machine with the client of Regista, without a service:

  regista audit verify-proof proofs/leaf-0.json --key '{key}'

Compare the key with the one that you keep elsewhere. report.csv and report.json are not signed: trust
the proof of an entry, not its line in them.
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
    by = named((item.get("by") or item.get("actor") or {}).get("subject", ""))
    if what in {"timeline", "attempts"}:
        number, where = item.get("number"), item.get("environment")
        data = item.get("data") or {}
        words = in_words(item) if what == "timeline" else data.get("code") or in_words(item)
        who = named(str(data.get("subject") or "")) if what == "attempts" else by
        return (
            item["recorded_at"],
            words,
            "",
            number,
            where,
            who,
            "",
            "",
            item["reason"],
            item["leaf_index"],
        )
    promotion = item.get("promotion") or {}
    requested = promotion.get("requested") or {}
    approvers = [named(a["subject"]) for a in promotion.get("approvers") or ()]
    return (
        item["at"],
        what.rstrip("s"),
        item["model"],
        item["number"],
        item["environment"],
        by,
        named((requested.get("by") or {}).get("subject", "")),
        "; ".join(approvers),
        "; ".join(item["reasons"]) or requested.get("reason", ""),
        item["event"]["leaf_index"],
    )


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
    guide = GUIDE.format(count=len(proofs), total=len(items), key=checkpoints["verifier_key"])
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
