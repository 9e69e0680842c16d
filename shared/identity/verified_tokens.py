"""Keep tokens that were verified: checking a signature costs more than the rest of a request."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.deciding.issuers import Issuer
from shared.identity.tokens import LEEWAY, IssuerKey, Token

MOST = 5_000
"""Tokens that are kept; those not used for longest leave first."""

TrustedIssuer = Callable[[str], Issuer | None]
"""Return the settings of a trusted issuer by its URL, or None."""
KeyOf = Callable[[Issuer, str], IssuerKey | None]
"""Return the key of an issuer by its id, or None."""


class VerifiedTokens:
    """Verified tokens by their digest; the text of a token is not kept.

    One counts while it has not expired, and its issuer is trusted with the same settings and key.
    """

    def __init__(self, issuer_at: TrustedIssuer, key_of: KeyOf) -> None:
        self._issuer_at, self._key_of = issuer_at, key_of
        self._kept: OrderedDict[bytes, tuple[Issuer, IssuerKey, Token]] = OrderedDict()

    def find(self, text: str, now: datetime) -> Token | None:
        """Return the token when it was verified before and still counts."""
        name = _digest(text)
        if (kept := self._kept.get(name)) is None:
            return None
        issuer, key, token = kept
        if (
            token.expires_at <= now - timedelta(seconds=LEEWAY)
            or self._issuer_at(issuer.url) != issuer
            or self._key_of(issuer, key.kid) is not key
        ):
            del self._kept[name]
            return None
        self._kept.move_to_end(name)
        return token

    def keep(self, text: str, issuer: Issuer, key: IssuerKey, token: Token) -> None:
        """Keep a token that this key of the issuer verified."""
        self._kept[_digest(text)] = issuer, key, token
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
