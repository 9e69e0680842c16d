"""The slider of a page of the past: the span of the log or of a model, and the moments on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.console.as_of import RECENT
from services.console.calls import Part, model_path, part
from services.console.view import View

Json = Mapping[str, Any]
STEPS = 200
"""Steps of the arrow keys over the whole span, without JavaScript."""
FORM = "as_of", "page"
"""Parameters that the form of a slider replaces."""


@dataclass(frozen=True, slots=True)
class Slider:
    """A span in seconds since 1970, the place on it, and the moments as (second, event).

    `before` and `after` are the events next to the moment. `about` is what the span is of.
    """

    first: int
    last: int
    at: int
    moments: Sequence[tuple[int, Json]]
    before: Json | None
    after: Json | None
    about: str
    kept: Sequence[tuple[str, str]]
    complete: bool

    @property
    def step(self) -> int:
        """Seconds by which the arrow keys move it, without JavaScript."""
        return max(1, (self.last - self.first) // STEPS)


def _second(text: str) -> int:
    """Return the first whole second at which the event of a time has happened."""
    return math.ceil(datetime.fromisoformat(text).timestamp())


def slider_of(found: Json, as_of: str, about: str, kept: Sequence[tuple[str, str]], now: datetime) -> Slider:
    """Return the slider over the moments that a service found. Pure."""
    moments = {_second(one["at"]): one for one in found["items"]}
    last = max(math.floor((now - RECENT).timestamp()), max(moments, default=0))
    begins = found.get("first") or (found["items"][0]["at"] if found["items"] else "")
    first = min(_second(begins), last) if begins else last
    at = _second(as_of) if as_of else last
    return Slider(
        first,
        last,
        min(max(at, first), last),
        sorted(moments.items(), key=lambda one: one[0]),
        found["before"],
        found["after"],
        about,
        kept,
        bool(found.get("complete", True)),
    )


async def of_page(view: View) -> Slider | None:
    """Return the slider over the model of the page, or over the log; None for who may read neither."""
    model = str(view.request.path_params.get("model") or view.query("model"))
    found: Part[Any] = await part(
        view.calls.get("registry", model_path(model, "moments"), at=view.as_of)
        if model
        else view.calls.get("audit", "/moments", at=view.as_of)
    )
    if found.value is None:
        return None
    kept = [(name, value) for name, value in view.request.query_params.multi_items() if name not in FORM]
    return slider_of(found.value, view.as_of, model, kept, datetime.now(UTC))
