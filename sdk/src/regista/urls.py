"""URLs without what gives access: texts of other systems are recorded, credentials in them are not."""

from __future__ import annotations

import re
from urllib.parse import unquote

from regista.wire.secret_parameters import is_secret

_BEFORE_HOST = re.compile(
    r'(?P<container>\b(?:abfs|wasb)s?)?(?P<start>:(?:\\*/){2})(?P<user>[^/?#\s"<>]*)@', re.IGNORECASE
)
"""User and password. JSON may write a slash as `\\/`."""
_TAIL = re.compile(r'[?#](?:[^\s"<>\\]|\\+(?![\\"]))*')
"""Query and fragment, up to a blank or a quotation mark."""
_BETWEEN = re.compile(r"[?#&;]|\\+u0026")


def without_credentials(text: str) -> str:
    """Return a text whose URLs have no user info, and no query when a name in it belongs to a secret.

    The container of an Azure store, which stands where others have the user, stays.
    """
    return _TAIL.sub(_public_tail, _BEFORE_HOST.sub(_public_start, text))


def _public_start(found: re.Match[str]) -> str:
    if found["container"] and ":" not in found["user"]:
        return found[0]
    return (found["container"] or "") + found["start"]


def _public_tail(found: re.Match[str]) -> str:
    return "" if any(_is_secret(one) for one in _BETWEEN.split(found[0])) else found[0]


def _is_secret(parameter: str) -> bool:
    name, sign, _ = parameter.replace("\\u003d", "=").partition("=")
    return bool(sign) and is_secret(unquote(name))
