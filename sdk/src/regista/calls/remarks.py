"""What people say about versions: description, tags, notes, corrections. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regista.calls.requests import Json, Requests, at, given, model_and_version, summary
from regista.shapes.registry import ComparisonAnswer, NoteAnswer, NoteWithEarlier, VersionAnswer

_VERSION = summary("stage", "semver", "description", "tags")


class RemarkCalls(Requests):
    """Describe, tag, note and correct versions.

    `reference` is `model@3`, `model@1.2.0`, `model@production`, `model@latest` or `model@alias`.
    """

    async def compare(self, *references: str) -> ComparisonAnswer:
        """Return two to ten versions, also of different models, beside each other.

        `rows` have one value for each of `versions`: metrics on the same data, configuration values that
        differ, data, training, schema, size in bytes.
        """
        for reference in references:
            model_and_version(reference)
        return await self._get(ComparisonAnswer, "registry", "/compare", version=list(references))

    async def describe(
        self,
        reference: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        remove_tags: Iterable[str] = (),
        reason: str = "",
        expected: int | None = None,
    ) -> VersionAnswer:
        """Change description and tags of a version, and return it; what is not given stays.

        `tags` are added, or get another value; `description` "" removes it. `expected` is as in `complete`.
        A publisher may describe own versions only.
        """
        body = {**given(description=description), **_tags(tags, remove_tags), "reason": reason}
        return await self._edit(reference, "describe", body, expected)

    async def correct(
        self,
        reference: str,
        fields: Mapping[str, str | None] | None = None,
        *,
        reason: str,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        remove_tags: Iterable[str] = (),
        expected: int | None = None,
    ) -> VersionAnswer:
        """Correct metadata that no decision is bound to, and return the version.

        `fields`: new values by path: `training.run_url`, `training.code.repository`,
        `training.framework.name`, `training.framework.version`; None removes one. What stood before stays in
        the log and in the version's `corrections`. Open promotions of the version end when a field changes,
        because their approvers saw it. Raises RegistaError for other fields, with what to do instead.
        """
        body = {**given(description=description), **_tags(tags, remove_tags), "fields": dict(fields or {})}
        return await self._edit(reference, "correct", body | {"reason": reason}, expected)

    async def _edit(self, reference: str, action: str, body: Json, expected: int | None) -> VersionAnswer:
        path = _path(reference)
        return await self._change(
            VersionAnswer,
            "POST",
            "registry",
            f"{path}:{action}",
            body,
            expected,
            what=f"the version {reference}",
            shown=_VERSION,
            read=path,
        )

    async def notes(self, reference: str, limit: int | None = None) -> list[NoteWithEarlier]:
        """Return the notes of a version, the oldest first, each with its `earlier` texts."""
        return await self._all(NoteWithEarlier, "registry", f"{_path(reference)}/notes", limit)

    async def add_note(self, reference: str, text: str) -> NoteAnswer:
        """Add a note to a version, and return it. Its author and time are kept."""
        return await self._send(NoteAnswer, "POST", "registry", f"{_path(reference)}/notes", {"text": text})

    async def correct_note(self, reference: str, note: int, text: str, *, reason: str = "") -> NoteAnswer:
        """Replace the text of an own note, and return it; the text before stays in `earlier`."""
        body = {"text": text, "reason": reason}
        return await self._send(NoteAnswer, "PUT", "registry", f"{_path(reference)}/notes/{note}", body)


def _tags(tags: Mapping[str, str] | None, remove: Iterable[str]) -> Json:
    return {"set_tags": dict(tags or {}), "remove_tags": list(remove)}


def _path(reference: str) -> str:
    return at(*model_and_version(reference))
