"""Where settings come from, and the message when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from regista.client.profile import Profile, read_profile
from regista.errors import NotConfigured

CONFIG = """
default = "prod"
[profiles.prod]
url = "https://registry.example.com"
api_key_file = "{folder}/key"
[profiles.dev]
url = "http://127.0.0.1:8001"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "key").write_text("rg_from_file\n")
    (tmp_path / "config.toml").write_text(CONFIG.format(folder=tmp_path))
    return {"REGISTA_CONFIG": str(tmp_path / "config.toml")}


def test_the_files_default_profile_is_used(environment: dict[str, str]) -> None:
    found = read_profile(environment=environment)
    assert (found.url, found.api_key) == ("https://registry.example.com", "rg_from_file")


def test_a_profile_is_chosen_by_name_and_the_environment_stands_above_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("rg_env\n")
    found = read_profile(
        "dev",
        environment | {"REGISTA_API_KEY_FILE": str(tmp_path / "secret"), "REGISTA_KAFKA_BOOTSTRAP": "k:9092"},
    )
    assert (found.url, found.api_key, found.kafka_bootstrap) == ("http://127.0.0.1:8001", "rg_env", "k:9092")


def test_a_variable_that_replaces_the_key_or_url_of_the_profile_that_was_named_is_warned_of(
    environment: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_text("rg_env\n")
    by_file = environment | {"REGISTA_API_KEY_FILE": str(tmp_path / "secret"), "REGISTA_URL": "http://other"}
    read_profile("prod", by_file)
    assert caplog.messages == [
        "REGISTA_URL is set and replaces the url of profile prod: unset it.",
        "REGISTA_API_KEY_FILE is set and replaces the api_key of profile prod: unset it.",
    ]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("", {"REGISTA_API_KEY": "rg_env"}),
        ("", {"REGISTA_API_KEY": "rg_env", "REGISTA_PROFILE": "prod"}),
        ("prod", {"REGISTA_API_KEY": "rg_from_file", "REGISTA_KAFKA_BOOTSTRAP": "k:9092"}),
        ("dev", {"REGISTA_API_KEY": "rg_env"}),
    ],
)
def test_a_variable_that_adds_to_a_profile_or_stands_above_a_default_needs_no_warning(
    environment: dict[str, str], name: str, more: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    read_profile(name, environment | more)
    assert caplog.messages == []


def test_without_a_file_everything_is_empty_and_a_needed_setting_is_named() -> None:
    found = read_profile(environment={"REGISTA_CONFIG": "/nowhere/config.toml"})
    assert found == Profile()
    with pytest.raises(NotConfigured, match="REGISTA_URL"):
        found.need("url")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"REGISTA_PROFILE": "staging"}, r"\[profiles.staging\]; it has: prod, dev"),
        ({"REGISTA_API_KEY_FILE": "/nowhere"}, "REGISTA_API_KEY_FILE"),
        ({"REGISTA_USAGE_WINDOW": "soon"}, "REGISTA_USAGE_WINDOW"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], more: dict[str, str], message: str) -> None:
    with pytest.raises(NotConfigured, match=message):
        read_profile(environment=environment | more)


def test_unknown_settings_and_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[profiles.a]\nurll = "x"')
    with pytest.raises(NotConfigured, match="urll"):
        read_profile("a", {"REGISTA_CONFIG": str(tmp_path / "c.toml")})
    (tmp_path / "c.toml").write_text("[[[")
    with pytest.raises(NotConfigured, match="cannot be read"):
        read_profile("a", {"REGISTA_CONFIG": str(tmp_path / "c.toml")})


def test_secrets_are_not_shown() -> None:
    assert "rg_x" not in repr(Profile(api_key="rg_x", kafka_password="rg_x"))
