"""The synchronous client has what the asynchronous one has."""

from __future__ import annotations

import inspect

import regista
from regista import aio
from regista.client.async_client import AsyncClient
from regista.client.sync_client import Client

ONLY_ASYNCHRONOUS = {"after_fork", "close_at_exit", "pages"}  # of which the others are made


def test_every_public_method_has_both_faces() -> None:
    asynchronous = {
        name for name, _ in inspect.getmembers(AsyncClient, callable) if not name.startswith("_")
    } - ONLY_ASYNCHRONOUS
    synchronous = {name for name, _ in inspect.getmembers(Client, callable) if not name.startswith("_")}
    assert synchronous == asynchronous


def test_publishing_and_loading_show_their_arguments() -> None:
    """Notebooks and editors complete from the signature."""
    publish, load = inspect.signature(regista.publish), inspect.signature(regista.load)
    assert [*publish.parameters][:3] == ["model", "artifact", "run"]
    assert {"tags", "draft", "tier", "compare_with", "parents"} <= publish.parameters.keys()
    assert publish.return_annotation == "Publication"
    assert [*load.parameters] == ["reference", "environment", "progress", "offline"]
    assert inspect.signature(aio.publish).parameters.keys() == publish.parameters.keys()


def test_no_call_takes_arguments_without_a_name() -> None:
    unnamed = [
        name
        for name, method in inspect.getmembers(Client, callable)
        if not name.startswith("_") and name not in ONLY_ASYNCHRONOUS
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD
    ]
    assert unnamed == []
