"""Services and publishers authenticate by the mechanism that a cluster has."""

from __future__ import annotations

import pytest

from regista.client.profile import Profile, read_profile
from regista.errors import NotConfigured
from regista.publishing.kafka import connection as of_publisher
from shared.foundation.settings import Settings, SettingsWrong
from shared.messaging.kafka import connection as of_service


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
def test_a_service_uses_the_mechanism_of_its_settings(mechanism: str) -> None:
    environment = {"REGISTA_KAFKA_MECHANISM": mechanism, "REGISTA_KAFKA_SECURITY": "SASL_SSL"}
    assert of_service(Settings.from_environment(environment))["sasl_mechanism"] == mechanism


def test_a_publisher_uses_the_mechanism_of_its_profile() -> None:
    given = {
        "REGISTA_KAFKA_MECHANISM": "PLAIN",
        "REGISTA_KAFKA_USER": "key",
        "REGISTA_KAFKA_BOOTSTRAP": "k:1",
    }
    assert of_publisher(read_profile("", given | {"REGISTA_CONFIG": "/nowhere"}))["sasl_mechanism"] == "PLAIN"


def test_the_default_is_scram_sha_512() -> None:
    assert of_service(Settings(kafka_security="SASL_PLAINTEXT"))["sasl_mechanism"] == "SCRAM-SHA-512"
    profile = Profile(kafka_bootstrap="k:1", kafka_user="u")
    assert of_publisher(profile)["sasl_mechanism"] == "SCRAM-SHA-512"


def test_a_mechanism_that_the_client_does_not_have_is_refused() -> None:
    with pytest.raises(SettingsWrong, match="REGISTA_KAFKA_MECHANISM"):
        Settings.from_environment({"REGISTA_KAFKA_MECHANISM": "GSSAPI"})
    with pytest.raises(NotConfigured, match="REGISTA_KAFKA_MECHANISM"):
        of_publisher(Profile(kafka_bootstrap="k:1", kafka_user="u", kafka_mechanism="GSSAPI"))
