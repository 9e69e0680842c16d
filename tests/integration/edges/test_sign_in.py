"""Any service accepts tokens of trusted issuers, with the roles that the log has for the person."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.deciding.access import IdentityCreated
from shared.deciding.issuers import GroupMapped, IssuerTrusted, SignedIn, account_of, issuer_key
from tests.integration.edges.conftest import People, Toy
from tests.issuer import HttpIssuer, running
from tests.processes import PEPPER

pytestmark = pytest.mark.servers
COUNT: Any = ("POST", "/v1/counters/a:count")


async def trust(people: People, issuer: HttpIssuer) -> str:
    key = issuer_key(issuer.url)
    settings: Any = ("regista", "regista-cli", ("openid",), ("ES256",), "groups", "root")
    subject = f"issuer:{key}"
    await people.append(
        subject,
        IssuerTrusted(subject, issuer.url, *settings),
        GroupMapped(subject, "board", "engineer", "toys", "root"),
    )
    return key


async def test_a_service_sends_to_the_sign_in_first_and_then_takes_the_token(
    start_toy: Callable[..., Toy], people: People
) -> None:
    with running() as issuer:
        key = await trust(people, issuer)
        toy = start_toy(TOY_KAFKA="0")
        await toy.ready()
        token = issuer.token(groups=["board"])
        answer = await toy.call(*COUNT, token, json={"by": 1})
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
        issued = datetime.fromtimestamp(int(time.time()), UTC)
        account = account_of(PEPPER, issuer.url, "ann")
        seen = SignedIn("u-ann", key, account, ("board",), ("root",), issued)
        await people.append("u-ann", IdentityCreated("u-ann", "person"), seen)
        assert (await toy.call(*COUNT, token, json={"by": 1})).status_code == 200


async def test_tokens_wait_for_the_keys_of_an_issuer_that_was_never_reached(
    start_toy: Callable[..., Toy], people: People
) -> None:
    with running() as issuer:
        await trust(people, issuer)
        issuer.stop()
        toy = start_toy(TOY_KAFKA="0")
        await toy.ready()
        answer = await toy.call(*COUNT, issuer.token(), json={"by": 1})
        assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unreachable")
        assert answer.headers["retry-after"] == "5"
