"""A refused message is read with its reason, and dismissed or sent again by who may."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from tests.ui.conftest import Site, csrf, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]
LIST = "/operations/dead-letters/registry"


async def _send(site: Site) -> None:
    kafka = site.instance.stack.kafka
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="pipeline",
        sasl_plain_password=kafka.password("pipeline"),
    )
    await producer.start()
    try:
        await producer.send_and_wait("regista.training.v1", b"<b>no event</b>", key=b"fraud.dead")
    finally:
        await producer.stop()


@pytest.fixture(scope="module")
def dead_letter(site: Site) -> str:
    """The address of a dead letter that is open."""
    asyncio.run(_send(site))
    with site.client("admin") as admin:
        found = until(lambda: [x for x in admin.dead_letters("registry") if x["key"] == "fraud.dead"])
    return f"{LIST}/{found[0]['id']}"


def test_operations_shows_how_far_each_service_is(site: Site) -> None:
    with site.signed_in("admin") as admin:
        page = admin.get("/operations").text
    assert "events to publish" in page
    assert "not known" not in page


def test_a_dead_letter_is_shown_with_its_reason_and_its_bytes(site: Site, dead_letter: str) -> None:
    with site.signed_in("admin") as admin:
        assert dead_letter in admin.get(LIST).text
        page = admin.get(dead_letter).text
    assert "&lt;b&gt;no event&lt;/b&gt;" in page
    assert "Replay the message" in page


def test_who_may_not_act_reads_which_role_is_missing(site: Site, dead_letter: str) -> None:
    with site.signed_in("ann") as ann:
        page = ann.get(dead_letter)
        assert "need the role engineer" in page.text
        answer = ann.post(
            f"{dead_letter}/replay", data={"csrf": csrf(page), "act": "replay", "reason": "try"}
        )
        assert answer.status_code == 403
        assert "This is not allowed." in answer.text


def test_a_dismissal_without_a_reason_is_refused_and_with_one_is_shown(site: Site, dead_letter: str) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get(dead_letter)), "act": "dismiss"}
        assert admin.post(f"{dead_letter}/dismiss", data=form | {"reason": ""}).status_code == 422
        assert (
            admin.post(f"{dead_letter}/dismiss", data=form | {"reason": "a test sent it"}).status_code == 303
        )
        assert until(lambda: "a test sent it" in admin.get(f"{LIST}?state=dismissed").text)
        assert dead_letter not in admin.get(LIST).text


def test_a_replay_keeps_who_did_it_and_why(site: Site, dead_letter: str) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get(dead_letter)), "act": "replay", "reason": "the schema was mended"}
        answer = admin.post(f"{dead_letter}/replay", data=form)
        assert answer.status_code == 303
        assert "was sent to regista.training.v1 again" in admin.get(answer.headers["location"]).text
    with site.client("admin") as client:
        id_ = dead_letter.rpartition("/")[2]
        assert until(lambda: (id_, 2) in {(x["id"], x["times"]) for x in client.dead_letters("registry")})
