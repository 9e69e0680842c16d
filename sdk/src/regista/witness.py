"""Keep, check and cosign the log checkpoints of a log on another machine, with a key of its own.

A witness cosigns a log checkpoint only when it continues the newest that it cosigned before. The folder is
its memory: one file for each log checkpoint, never overwritten.
"""

from __future__ import annotations

import json
import os
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from regista.errors import Damaged, RegistaError
from regista.kept_checkpoints import LogClient, Signed, check, newest, read
from regista.wire.checkpoint import Checkpoint
from regista.wire.cosignature import cosigned, witness_key
from regista.wire.keys import SigningKey


class Witness:
    """Watches one log. `log_key` is its verifier key; `folder` keeps what was cosigned.

    `fault` is why the last look failed, or "". `contradicted` stays true: the log cannot undo it.
    """

    def __init__(self, key: SigningKey, log_key: str, folder: Path) -> None:
        self._key, self._log_key, self._folder = key, log_key, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.looked_at = 0.0
        self.fault = ""
        self.contradicted = any(folder.glob("contradiction-*.note"))

    @property
    def verifier_key(self) -> str:
        """The key that verifies the cosignatures."""
        return witness_key(self._key.subject, self._key.public)

    def note(self, size: int | None = None) -> str | None:
        """Return the cosigned note of a size, or the newest; None when there is none."""
        names = [f"{size:020d}.note"] if size is not None else self._names()[-1:]
        files = [self._folder / name for name in names]
        return files[0].read_text("utf-8") if files and files[0].is_file() else None

    def _names(self) -> list[str]:
        return sorted(p.name for p in self._folder.glob("[0-9]*.note"))

    def look(self, client: LogClient) -> Checkpoint:
        """Fetch the newest log checkpoint, check it, cosign and keep it. Return it.

        Raises Damaged when the log contradicts what was cosigned, and what the client raises.
        """
        self.looked_at, self.fault = time.time(), ""
        try:
            now = newest(client, self._log_key)
            self._check_and_keep(client, now)
        except RegistaError as error:
            self.fault = error.detail
            raise
        return now.checkpoint

    def _check_and_keep(self, client: LogClient, now: Signed) -> None:
        kept = self.note()
        if kept is not None:
            try:
                check(client, read(kept, self._log_key), now)
            except Damaged:
                self.contradicted = True
                self._write(f"contradiction-{now.checkpoint.root.hex()[:16]}.note", now.note)
                raise
        if kept is None or read(kept, self._log_key).checkpoint.size < now.checkpoint.size:
            note = cosigned(_log_lines(now), self._key.subject, self._key.private, int(time.time()))
            self._write(f"{now.checkpoint.size:020d}.note", note)

    def _write(self, name: str, note: str) -> None:
        """Write a new file completely or not at all; an existing one stays."""
        partial = self._folder / f".{name}.{os.getpid()}"
        with partial.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, self._folder / name)
        except FileExistsError:
            pass
        finally:
            partial.unlink()


def _log_lines(now: Signed) -> str:
    """Return the note with the signature of the log only."""
    text, _, lines = now.note.rpartition("\n\n")
    own = [line for line in lines.splitlines() if line.startswith(f"— {now.checkpoint.origin} ")]
    return f"{text}\n\n" + "".join(f"{line}\n" for line in own)


def serve(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """Serve cosigned notes from a thread: `/log-checkpoint`, `/log-checkpoint/<size>`, `/key`, `/healthz`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/").split("/")
            match path:
                case ["log-checkpoint" | "checkpoint"]:
                    self._text(witness.note())
                case ["log-checkpoint" | "checkpoint", size] if (
                    size.isascii() and size.isdecimal() and len(size) < 20
                ):
                    self._text(witness.note(int(size)))
                case ["key"]:
                    self._text(witness.verifier_key + "\n")
                case ["healthz"]:
                    bad = witness.contradicted or bool(witness.fault)
                    state = {
                        "contradicted": witness.contradicted,
                        "fault": witness.fault,
                        "looked_at": witness.looked_at,
                    }
                    self._text(json.dumps(state) + "\n", 503 if bad else 200)
                case _:
                    self._text(None)

        def _text(self, body: str | None, status: int = 200) -> None:
            raw = (body if body is not None else "there is no such log checkpoint\n").encode()
            self.send_response(HTTPStatus(status if body is not None else 404))
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the library
            """Log no requests."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="witness", daemon=True).start()
    return server
