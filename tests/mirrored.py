"""A version that a mirror has to show, and its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from services.mirror.targets.base import Approval, File, Metric, Unavailable, Wanted

CONTENT = {"model.bin": b"bytes " * 50_000, "data/labels.txt": b"stays"}
DIGEST = "sha256:" + "ab" * 32
APPROVAL = Approval("r1", ("Bob", "Eve"), "checked", datetime(2026, 11, 30, tzinfo=UTC), "production")


def wanted(model: str, content: dict[str, bytes] = CONTENT, **more: Any) -> Wanted:
    files = tuple(File(p, len(b), hashlib.sha256(b).hexdigest()) for p, b in content.items())
    facts: dict[str, Any] = {
        "model_id": f"id-{model}",
        "number": 1,
        "semver": "1.0.0",
        "stage": "Validated",
        "artifact_digest": DIGEST,
        "files": files,
        "description": "what leaves",
        "metrics": (Metric("auc", 0.9, "holdout", "sha256:d"),),
        "data_digest": "sha256:" + "d" * 64,
        "position": "model-m1#7",
        "tags": {"team": "crm"},
    }
    return Wanted(model=model, **(facts | more))


class Stored:
    """The bytes of the version. `reads` are the files that were read; `fails`: the end does not come."""

    def __init__(self, content: dict[str, bytes] = CONTENT) -> None:
        self.content = content
        self.reads: list[str] = []
        self.fails = False

    async def read(self, path: str) -> AsyncIterator[bytes]:
        self.reads.append(path)
        yield self.content[path][:1000]
        yield self.content[path][1000:]
        if self.fails:
            raise Unavailable("the bytes are not those that were registered")
