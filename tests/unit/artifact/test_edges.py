"""What comes in from the registry, what goes out, and what the environment may say."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from regista.wire.cloudevents import CloudEvent
from services.artifact.consumers import note_registered
from services.artifact.domain.artifact import decide
from services.artifact.domain.artifact_commands import RecordDamaged, RecordDeleted, RecordTagged
from services.artifact.domain.artifact_state import evolve
from services.artifact.parts import make_parts
from services.artifact.publish import PUBLIC, publish
from services.artifact.service import SERVICE
from services.artifact.settings import ArtifactSettings
from services.artifact.stored_events import EVENTS
from services.artifact.stores.disk import DiskStore
from services.artifact.stores.s3 import S3Store
from shared.deciding.events import Actor, Recorded
from shared.foundation.settings import Settings, SettingsWrong
from shared.http.app import App
from shared.messaging.kafka import Malformed, Received
from tests.unit.artifact import commands

SETTINGS = ArtifactSettings(artifact_dir="/nowhere")
APP = App("artifact", SETTINGS)
APP.parts = make_parts(APP, SETTINGS, SETTINGS.store())


def received(data, **extensions):
    extensions = {"revision": "7", "leaf": "ab" * 32} | extensions
    event = CloudEvent(
        "id",
        "/regista/registry",
        "regista.registry.VersionRegistered.v1",
        "model-m1",
        "2026-11-23T00:00:00Z",
        msgspec.json.encode(data),
        extensions=extensions,
    )
    return Received(event, "service:registry", "service", "t", 0, 0)


def data(**changes):
    artifact = {
        "digest": commands.DIGEST,
        "files": [msgspec.to_builtins(f) for f in commands.FILES],
        "location": commands.UPLOAD,
    }
    return {
        "model_id": "m1",
        "model": "team.m1",
        "number": 1,
        "artifact": artifact,
        "training": {"unknown": "to us"},
    } | changes


async def test_a_registration_becomes_a_command_on_the_stream_of_its_digest():
    (submission,) = await note_registered(APP, received(data()))
    assert submission.streams == (f"artifact-{commands.DIGEST[7:]}",)
    noted = submission.command.message.as_noted()
    assert (noted.source.revision, noted.source.stream, noted.leaf) == (7, "model-m1", "ab" * 32)
    assert "training" not in noted.data
    assert submission.command.claim.found == commands.DIGEST


async def test_a_version_without_bytes_is_passed_over():
    assert await note_registered(APP, received(data(artifact=None))) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (received(data(number="one")), "number"),
        (received(data(), revision="x"), "revision"),
        (received(data(artifact={"digest": "md5:1"})), "no artifact digest"),
    ],
)
async def test_an_unreadable_message_is_malformed_with_its_reason(message, reason):
    with pytest.raises(Malformed, match=reason):
        await note_registered(APP, message)


def test_every_public_type_is_published_and_nothing_else():
    state, published = commands.state_after(), set()
    script = [
        commands.registered(1),
        commands.verified(1),
        commands.registered(2, files=[]),
        commands.registered(3),
        commands.recalled(3),
        commands.retired(1),
        commands.retired(3, revision=1001),
    ]
    again = [commands.registered(4, revision=2000), commands.verified(4, 2), RecordDamaged(2, "x")]
    for command in [*script, RecordTagged(1, timedelta(), commands.NOW), RecordDeleted(1), *again]:
        for event in decide(command, state):
            state = evolve(state, event)
            recorded = Recorded(
                "artifact",
                "artifact-x",
                state.revision,
                UUID(int=1),
                type(event).__name__,
                1,
                commands.NOW,
                Actor("a"),
                event,
                b"",
            )
            if public := publish(recorded):
                assert type(public.data) is PUBLIC[public.type]
                published.add(public.type)
    assert published == set(PUBLIC)


def test_every_stored_event_has_its_class_once():
    assert len({c.__name__ for c in EVENTS.classes}) == len(EVENTS.classes)
    assert {f.category for f in SERVICE.folds} == {"artifact", "upload"}


def test_the_environment_chooses_the_store(monkeypatch):
    assert isinstance(SETTINGS.store(), DiskStore)
    for name, value in {"ENDPOINT": "127.0.0.1:1", "ACCESS_KEY": "a", "SECRET_KEY": "s3cret"}.items():
        monkeypatch.setenv(f"REGISTA_S3_{name}", value)
    extended = ArtifactSettings.extending(Settings(http_port=8003))
    assert (type(extended.store()), extended.http_port) == (S3Store, 8003)
    assert "s3cret" not in repr(extended)
    with pytest.raises(SettingsWrong, match="REGISTA_S3_SECRET_KEY"):
        ArtifactSettings(s3_endpoint="127.0.0.1:1", s3_access_key="a").store()
    with pytest.raises(SettingsWrong, match=r"REGISTA_S3_ENDPOINT: .*without a scheme"):
        ArtifactSettings.from_environment({"REGISTA_S3_ENDPOINT": "https://s3.example.com"})
    with pytest.raises(SettingsWrong, match="REGISTA_ARTIFACT_DIR"):
        ArtifactSettings().store()
    with pytest.raises(SettingsWrong, match="REGISTA_ARTIFACT_CHECK_EVERY"):
        ArtifactSettings.from_environment({"REGISTA_ARTIFACT_CHECK_EVERY": "0"})
