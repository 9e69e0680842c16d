"""The sign-in that a client uses: its access token, replaced before it ends."""

from __future__ import annotations

import threading
import time

from regista.client.profile import Profile
from regista.errors import Unauthorized, Unavailable
from regista.login.kept import KeptLogin
from regista.login.requests import connection
from regista.login.tokens import AGAIN, Tokens, refreshed, revoke


class Login:
    """The kept sign-in of a profile. Its methods block; several threads and processes may call them."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._kept = KeptLogin(profile)
        self._tokens: Tokens | None = None
        self._lock = threading.Lock()

    def exists(self) -> bool:
        """Return whether a person has signed in."""
        return self._kept.exists()

    def held(self) -> str | None:
        """Return the access token when it need not be replaced, without any I/O."""
        tokens = self._tokens
        return tokens.access_token if tokens and tokens.fresh(time.time()) else None

    def access_token(self) -> str:
        """Return an access token that is valid for a while. Raises Unauthorized and Unavailable."""
        with self._lock:
            if (held := self.held()) is not None:
                return held
            self._tokens = self._read()
            if not self._tokens.fresh(time.time()):
                self._tokens = self._refreshed(self._tokens)
            return self._tokens.access_token

    def _refreshed(self, last: Tokens) -> Tokens:
        """Refresh in one process at a time: a refresh token is valid once, and the others read the result."""
        try:
            with self._kept.locked(), connection(self._profile) as http:
                tokens = self._read()
                if not tokens.fresh(time.time()):
                    tokens = refreshed(http, tokens)
                    self._kept.write(tokens)
                return tokens
        except Unavailable:
            if last.valid(time.time()):  # the issuer is unreachable, but services accept this one
                return last
            raise

    def _read(self) -> Tokens:
        tokens = self._kept.read()
        if tokens is None:
            raise Unauthorized("not_signed_in", "you are not signed in here any more", advice=AGAIN)
        return tokens

    def keep(self, tokens: Tokens) -> bool:
        """Keep the tokens of a new sign-in. Return whether the system's keyring protects them."""
        with self._kept.locked():
            self._tokens = tokens
            return self._kept.write(tokens)

    def end(self) -> tuple[str, bool] | None:
        """Revoke and delete the tokens.

        Return the issuer, and whether it has revoked them; None without a sign-in.
        """
        with self._kept.locked():
            try:
                tokens = self._kept.read()
            except Unauthorized:  # they cannot be opened, so not revoked either
                self._kept.delete()
                return "its issuer", False
            if tokens is None:
                return None
            try:
                with connection(self._profile) as http:
                    revoked = revoke(http, tokens)
            except Unavailable:
                revoked = False
            self._kept.delete()
            self._tokens = None
            return tokens.issuer, revoked

    @property
    def issuer(self) -> str:
        """The issuer of the kept sign-in. Raises Unauthorized without one."""
        return self._read().issuer
