"""Give tokens to a service principal, as Microsoft Entra does."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from .workspace import AzureMl

TOKEN = re.compile(r"/([\w-]+)/oauth2/v2\.0/token")


def token_of(azure: AzureMl, path: str, body: bytes) -> tuple[int, Any] | None:
    """Return the answer to a request for a token, None for others."""
    found = TOKEN.fullmatch(path)
    if found is None:
        return None
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    given = (found[1], form.get("client_id"), form.get("client_secret"))
    if given != azure.principal or form.get("grant_type") != "client_credentials":
        return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
    azure.asked_for.append(form["scope"])
    return 200, {"token_type": "Bearer", "expires_in": 3_599, "access_token": azure.token()}
