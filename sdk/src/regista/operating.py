"""History, cleanup, dead letters, identities. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from regista.catalogue import Json, Operations
from regista.errors import Invalid, NotFound, RegistaError, Unavailable
from regista.files import Progress
from regista.wire.history import file_name, manifest_name

CONSUMERS = (
    "registry",
    "approval",
    "artifact",
    "cleanup",
)  # services that take messages: each has dead letters
INBOUND = {
    "regista.training.v1": "registry",
    "regista.usage.v1": "cleanup",
}  # topics that publishers write, and who reads them


class Operating(Operations):
    """What operators and auditors ask for."""

    async def timeline(self, model: str, limit: int | None = None, number: int | None = None) -> list[Json]:
        """Everything that happened to a model (or to one version of it): when, who, what, why, and what caused it."""
        return await self._all("audit", f"/timeline/{quote(model, safe='')}", limit, number=number)

    async def as_of(self, model: str, at_time: str | None = None, environment: str = "production") -> Json:
        """What was in production at a moment (RFC 3339), or is now as far as the auditor has read."""
        return dict(await self._get("audit", "/as-of", model=model, environment=environment, at=at_time))

    async def events(
        self, stream: str | None = None, limit: int | None = None, *, correlation_id: str | None = None
    ) -> list[Json]:
        """The events of a stream of the log, or of all that one request led to."""
        return await self._all("audit", "/events", limit, stream=stream, correlation_id=correlation_id)

    async def checkpoints(self, limit: int = 20) -> Json:
        """Signed tree heads of the log, newest first, and the key that verifies them."""
        return dict(await self._get("audit", "/checkpoints", page_size=limit))

    async def invariants(self) -> Json:
        """Checks the whole log now: which invariants hold, and what violates them."""
        return dict((await self._transport.call("GET", "audit", "/invariants", long=True)).body)

    async def history(self, limit: int | None = None) -> list[Json]:
        """The files of exported history, in the order of the log."""
        return await self._all("audit", "/history", limit)

    async def history_state(self) -> Json:
        """Where exported history lies, and how many leaves are sealed, signed, planned to be exported, and exported."""
        return {
            k: v
            for k, v in (await self._get("audit", "/history", page_size=1)).items()
            if k not in {"items", "next_page_token"}
        }

    async def export_history(self, *, everything: bool = False) -> Json:
        """Asks for the export of what is sealed now; `everything`: also what does not fill a file.

        Done when `exported` has reached `planned`.
        """
        answer = await self._transport.call(
            "POST", "audit", "/history:export", body={"all": everything}, long=True
        )
        return dict(answer.body)

    async def download_history(self, folder: Path, progress: Progress | None = None) -> int:
        """Copies the files that `folder` lacks, each whole or not at all, a manifest behind its file; answers how many. `regista.exported_history` verifies them."""
        wanted = _lacking(folder, await self.history())
        for file in wanted:
            first, last = file["first"], file["last"]
            for name, size in ((file_name(first, last), file["size"]), (manifest_name(first, last), 0)):
                await self._fetch_history(name, folder / name, size, progress)
        return len(wanted)

    async def _fetch_history(self, name: str, target: Path, size: int, progress: Progress | None) -> None:
        aside, done = target.with_name(f".{name}.part"), 0
        try:
            async with self._transport.download("audit", f"/history/{quote(name)}") as got:
                with aside.open("wb") as file:
                    async for piece in got.aiter_bytes():
                        done += file.write(piece)
                        if progress and size:
                            progress(name, done, size)
            aside.replace(target)
        except httpx.TransportError as e:
            raise Unavailable("broken_off", f"the download of {name} broke off ({type(e).__name__})") from e
        finally:
            aside.unlink(missing_ok=True)

    async def dead_letters(
        self, service: str, limit: int = 50, topic: str | None = None, *, replayed: bool | None = None
    ) -> list[Json]:
        """The messages that a service could not take, newest first."""
        answer = await self._get(service, "/dlq", limit=limit, topic=topic, replayed=replayed)
        return list(answer["items"])

    async def dead_letter(self, letter_id: str) -> Json:
        """One of them, with its reason, headers and value."""
        return dict(await self._get(owner_of(letter_id), f"/dlq/{quote(letter_id)}"))

    async def replay(self, letter_id: str) -> Json:
        """Sends it again to the topic it came from."""
        return dict(await self._send("POST", owner_of(letter_id), f"/dlq/{quote(letter_id)}:replay") or {})

    async def sweep(self, model: str = "", *, dry_run: bool, policy: Mapping[str, Any] | None = None) -> Json:
        """Plans a cleanup of all models or one; with `dry_run` only the plan is answered, under `policy` where one is given."""
        body = {"dry_run": dry_run, "model": model} | ({"policy": dict(policy)} if policy else {})
        return dict((await self._transport.call("POST", "cleanup", "/sweeps", body=body, long=True)).body)

    async def sweeps(self, limit: int | None = None) -> list[Json]:
        """Cleanups so far."""
        return await self._all("cleanup", "/sweeps", limit)

    async def sweep_plan(self, sweep_id: str, verdict: str = "", page_token: str = "") -> Json:
        """One cleanup: each version kept or marked, and why.

        `verdict`: marked, spared, proposed, retired or refused.
        """
        return dict(
            await self._get(
                "cleanup",
                f"/sweeps/{quote(sweep_id)}",
                verdict=verdict or None,
                page_token=page_token or None,
            )
        )

    async def retention(self, model: str) -> Json:
        """How long versions of a model are kept, and where each stands."""
        return await self._whole("cleanup", f"/retention/{quote(model, safe='')}", "versions")

    async def set_retention(self, model: str, policy: Mapping[str, Any]) -> Json:
        """Changes it; fails with Stale when somebody else did meanwhile."""
        path = f"/retention/{quote(model, safe='')}"
        return dict(
            await self._send("PUT", "cleanup", path, dict(policy), await self._etag("cleanup", path)) or {}
        )

    async def usage(self, model: str) -> Json:
        """How often versions of a model were used."""
        return await self._whole("cleanup", f"/usage/{quote(model, safe='')}", "versions", "days")

    async def identities(self, limit: int | None = None) -> list[Json]:
        """People, publishers and services that have a key."""
        return await self._all("registry", "/access/identities", limit)

    async def identity(self, subject: str) -> Json:
        """One identity with its roles and keys; everybody may read their own."""
        return dict(await self._get("registry", _identity(subject)))

    async def create_identity(self, subject: str | None, kind: str, name: str = "") -> Json:
        """A new identity; it can do nothing before it has a key and a role.

        Without a subject one is made that says nothing about anybody.
        """
        body = {"kind": kind, "name": name} | ({"subject": subject} if subject else {})
        return dict(await self._send("POST", "registry", "/access/identities", body) or {})

    async def set_name(self, subject: str, name: str) -> Json:
        """Gives or corrects a name; what was signed before keeps the one it was signed with."""
        return dict(await self._send("PUT", "registry", f"{_identity(subject)}/name", {"name": name}) or {})

    async def erase_name(self, subject: str, reason: str) -> Json:
        """Forgets a name; the answer says where it still stands.

        The reason stands in the log for ever: without the name.
        """
        return dict(
            await self._send("POST", "registry", f"{_identity(subject)}:erase-name", {"reason": reason}) or {}
        )

    async def names(self, subjects: Iterable[str]) -> dict[str, str | None]:
        """Who subjects are: None where the name was erased; who has none is missing."""
        wanted, found = sorted({s for s in subjects if s and "," not in s}), dict[str, str | None]()
        for at in range(0, len(wanted), 100):
            found |= (await self._get("registry", "/access/names", subjects=",".join(wanted[at : at + 100])))[
                "names"
            ]
        return found

    async def issue_key(self, /, subject: str, **key: Any) -> Json:
        """An API key (the answer shows it once), or with `public_key` (hex) the registration of a signing key made elsewhere."""
        body = {name: value for name, value in key.items() if value is not None}
        return _in_hand(dict(await self._send("POST", "registry", f"{_identity(subject)}/keys", body)))

    async def rotate_key(self, subject: str, old_key_id: str, /, **key: Any) -> Json:
        """A new key in place of an old one, which is revoked only once the new one is in hand: a lost answer leaves nobody without a key.

        `old_revoked` in the answer: False when nobody knows, because that answer was lost. The new key
        counts; look at the identity's keys.
        """
        if all(known["key_id"] != old_key_id for known in (await self.identity(subject)).get("keys") or ()):
            raise NotFound(
                "unknown_key",
                f"{subject} has no key {old_key_id}",
                advice=f"`regista access identity show {subject}` lists them.",
            )
        try:
            issued = await self.issue_key(subject, **key)
        except RegistaError as lost:
            if lost.code != "key_not_shown":
                raise
            await self.revoke_key(subject, lost.facts["key_id"], "never shown to anybody")
            issued = await self.issue_key(subject, **key)
        try:
            await self.revoke_key(subject, old_key_id, f"replaced by {issued['key_id']}")
        except (
            RegistaError
        ):  # also a refusal: the lost first try may have revoked the key that this client itself came with
            return issued | {"old_revoked": False}
        return issued | {"old_revoked": True}

    async def revoke_key(
        self, subject: str, key_id: str, reason: str = "", *, compromised: bool = False
    ) -> None:
        """From now on the key opens nothing.

        `compromised`: what a service signed with it before counts no more either.
        """
        query = {"reason": reason or None, "compromised": True if compromised else None}
        await self._transport.call(
            "DELETE", "registry", f"{_identity(subject)}/keys/{quote(key_id)}", query=query
        )

    async def grant(self, subject: str, role: str, namespace: str = "*") -> Json:
        """Gives a role in a namespace (`*`: everywhere)."""
        return dict(
            await self._send(
                "PUT", "registry", f"{_identity(subject)}/roles", {"role": role, "namespace": namespace}
            )
            or {}
        )

    async def revoke_role(self, subject: str, role: str, namespace: str = "*") -> None:
        """Takes it back."""
        await self._transport.call(
            "DELETE", "registry", f"{_identity(subject)}/roles", query={"role": role, "namespace": namespace}
        )


def owner_of(letter_id: str) -> str:
    """The service that owns the topic of a dead letter: it alone may put the message back."""
    topic = letter_id.partition("~")[0].removesuffix(".dlq")
    if topic in INBOUND:
        return INBOUND[topic]
    name = topic.removeprefix("regista.").removesuffix(".events.v1")
    if name not in CONSUMERS:
        raise Invalid(
            "no_dead_letter",
            f"{letter_id!r} is no id of a dead letter",
            advice="`regista dlq list` shows the ids.",
        )
    return name


def _in_hand(issued: Json) -> Json:
    """Raises RegistaError when a repeated request made an API key whose only answer was lost."""
    if "api_key" in issued and not issued["api_key"] and issued.get("algorithm") != "ed25519":
        detail = f"the key {issued['key_id']} was issued, but the answer that showed it was lost"
        raise RegistaError(
            "key_not_shown",
            detail,
            advice="Revoke that key and issue another: `regista access key rotate SUBJECT KEY_ID`.",
            facts=issued,
        )
    return issued


def _identity(subject: str) -> str:
    return f"/access/identities/{quote(subject, safe='')}"


def _lacking(folder: Path, files: Iterable[Json]) -> list[Json]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        f for f in files if f["exported_at"] and not (folder / manifest_name(f["first"], f["last"])).exists()
    ]
