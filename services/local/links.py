"""Make links that sign a person of an instance in to its console once."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from services.local.folders import LocalError
from services.local.identities import ADMIN
from services.local.instance import LINKS, Instance

WITHIN = 30.0


def link(instance: Instance, who: str, *, console: str = "") -> str:
    """Return a link for the API key of the profile `who`. Raises LocalError.

    `console`: where this process reaches the console, if not at the address that people open.
    """
    file = instance.identities.api_key_file(who)
    if not file.exists():
        known = sorted(path.name.removeprefix("api-key-") for path in file.parent.glob("api-key-*"))
        raise LocalError(f"no person here has the profile {who!r}: there are {', '.join(known) or ADMIN}")
    address = console or instance.urls.get("console", "")
    if not address:
        raise LocalError("nothing runs: run `regista up` first")
    return made(address, instance.folder.secret(LINKS), file.read_text().strip())


def made(console: str, secret: str, api_key: str) -> str:
    """Return the link that the console at this address makes for an API key. Raises LocalError."""
    connection = HTTPConnection(urlsplit(console).netloc, timeout=WITHIN)
    try:
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        connection.request("POST", "/sign-in/links", json.dumps({"key": api_key}), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as error:
        raise LocalError(f"the console does not answer ({type(error).__name__}): run `regista up`") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.CREATED:
        raise LocalError(f"the console made no link: {found.get('detail', answer.status)}")
    return str(found["url"])
