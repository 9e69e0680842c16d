"""The people of the demo on real servers: the demo runs again after any change by a reader."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx
import pytest

from services.local.demo.narration import Narrator
from services.local.demo.people import PEOPLE, introduce
from services.local.demo.scene import Scene
from tests.integration.sdk.conftest import House

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


async def test_a_person_erased_after_one_demo_has_a_name_in_the_next(house: House) -> None:
    async with AsyncExitStack() as closing:
        scene = Scene(
            house.instance,
            Narrator(),
            "demo.people",
            closing,
            await closing.enter_async_context(httpx.AsyncClient()),
        )
        await introduce(scene)
        admin, edsger = scene.people["admin"], scene.subjects["edsger"]
        await admin.erase_name(edsger, "a reader tries it")
        await introduce(scene)
        assert await admin.names([edsger]) == {edsger: PEOPLE["edsger"].name}
