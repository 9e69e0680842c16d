"""The synchronous client has what the asynchronous one has."""

from __future__ import annotations

import inspect

from regista.client.async_client import AsyncClient
from regista.client.sync_client import Client

ONLY_ASYNCHRONOUS = {"after_fork", "close_at_exit", "pages"}  # of which the others are made


def test_every_public_method_has_both_faces() -> None:
    asynchronous = {
        name for name, _ in inspect.getmembers(AsyncClient, callable) if not name.startswith("_")
    } - ONLY_ASYNCHRONOUS
    synchronous = {name for name, _ in inspect.getmembers(Client, callable) if not name.startswith("_")}
    assert synchronous == asynchronous
