"""A topic that is bound to a namespace takes messages about that namespace only."""

from __future__ import annotations

import pytest

from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission
from shared.foundation.settings import Settings
from shared.foundation.topics import bound_topic
from shared.messaging.kafka import Malformed, Subscription, by_publishers


def about(*namespaces: str | None) -> list[Submission]:
    return [
        Submission(
            "command",
            ("model-1",),
            Cause("/publishers/ci", "1", b""),
            Actor("ci"),
            permission=None if n is None else Permission("publisher", n),
        )
        for n in namespaces
    ]


def subscription(namespace: str) -> Subscription:
    return Subscription(
        bound_topic("training", namespace), "registry", {}, by_publishers, namespace=namespace
    )


@pytest.mark.parametrize("namespace", ["fraud", "fraud.cards"])
def test_a_message_about_the_namespace_or_one_below_it_is_taken(namespace: str) -> None:
    submissions = about(namespace)
    assert subscription("fraud").within(submissions) == submissions


@pytest.mark.parametrize("namespaces", [("crm",), ("",), ("fraudulent",), (None,), ("fraud", "crm")])
def test_a_message_about_another_namespace_is_refused(namespaces: tuple[str | None, ...]) -> None:
    with pytest.raises(Malformed, match=r"training\.fraud takes messages about the namespace fraud only"):
        subscription("fraud").within(about(*namespaces))


def test_the_shared_topic_takes_messages_about_every_namespace() -> None:
    assert len(subscription("").within(about("crm", "", None))) == 3
    assert bound_topic("training", "") == "training"


def test_the_namespaces_are_a_setting() -> None:
    found = Settings.from_environment({"REGISTA_KAFKA_NAMESPACES": "fraud, crm.sales,"})
    assert found.kafka_namespaces == ("fraud", "crm.sales")
    assert Settings.from_environment({}).kafka_namespaces == ()
