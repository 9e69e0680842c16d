from __future__ import annotations

from pathlib import Path

import pytest

from shared.foundation.settings import Settings, SettingsWrong
from shared.foundation.telemetry import without_secrets
from shared.http.server import Server


def test_a_setting_comes_from_its_variable_or_from_the_file_it_names(tmp_path: Path) -> None:
    secret = tmp_path / "pepper"
    secret.write_text("hot\n")
    found = Settings.from_environment(
        {"REGISTA_HTTP_PORT": "8001", "REGISTA_PEPPER_FILE": str(secret), "PATH": "/bin"}
    )
    assert (found.http_port, found.pepper) == (8001, "hot")


def test_the_variable_goes_before_the_file(tmp_path: Path) -> None:
    assert (
        Settings.from_environment(
            {"REGISTA_PEPPER": "a", "REGISTA_PEPPER_FILE": str(tmp_path / "none")}
        ).pepper
        == "a"
    )


def test_a_field_that_is_itself_a_file_name_is_not_read() -> None:
    assert (
        Settings.from_environment({"REGISTA_SIGNING_KEY_FILE": "/keys/me.json"}).signing_key_file
        == "/keys/me.json"
    )


def test_public_urls_are_json() -> None:
    found = Settings.from_environment({"REGISTA_PUBLIC_URLS": '{"registry": "http://a"}'})
    assert found.public_urls == {"registry": "http://a"}


def test_all_wrong_variables_are_named_together_and_no_value_is_shown(tmp_path: Path) -> None:
    wrong = {
        "REGISTA_HTTP_PORT": "eighty",
        "REGISTA_TRACE_SAMPLE": "7",
        "REGISTA_PEPPER_FILE": str(tmp_path / "none"),
        "REGISTA_PUBLIC_URLS": "s3cret",
    }
    with pytest.raises(SettingsWrong) as refused:
        Settings.from_environment(wrong)
    assert all(name in str(refused.value) for name in wrong)
    assert "s3cret" not in str(refused.value)


def test_missing_settings_are_named_beside_wrong_ones() -> None:
    given = {"REGISTA_HTTP_PORT": "eighty", "REGISTA_PEPPER": ""}
    with pytest.raises(SettingsWrong) as refused:
        Settings.from_environment(given, required=("database_url", "pepper"))
    assert all(f"REGISTA_{name}" in str(refused.value) for name in ("HTTP_PORT", "PEPPER", "DATABASE_URL"))


def test_secrets_do_not_show() -> None:
    shown = repr(Settings(pepper="s3cret", database_url="postgresql://u:s3cret@h/d", kafka_password="s3cret"))
    assert "s3cret" not in shown


def test_a_missing_required_setting_is_named() -> None:
    with pytest.raises(SettingsWrong, match="REGISTA_PEPPER"):
        Settings(database_url="postgresql://h/d").require("database_url", "pepper")


def test_messages_are_written_with_a_codec_that_every_client_reads_unless_it_is_set() -> None:
    assert Settings().kafka_compression == "gzip"
    assert Settings.from_environment({"REGISTA_KAFKA_COMPRESSION": "zstd"}).kafka_compression == "zstd"
    with pytest.raises(SettingsWrong, match="REGISTA_KAFKA_COMPRESSION"):
        Settings.from_environment({"REGISTA_KAFKA_COMPRESSION": "brotli"})


def test_every_wrong_setting_is_in_one_line() -> None:
    wrong = {"REGISTA_HTTP_PORT": "99999", "REGISTA_LOG_LEVEL": "LOUD", "REGISTA_KEY_DAYS": "-1"}
    with pytest.raises(SettingsWrong) as refused:
        Settings.from_environment(wrong)
    assert "\n" not in str(refused.value)
    assert [f"{name}: " in str(refused.value) for name in wrong] == [True] * 3


@pytest.mark.parametrize("name", ["PEPPER", "KAFKA_PASSWORD", "DATABASE_URL"])
def test_a_secret_that_is_missing_is_still_named_when_secrets_are_removed(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsWrong) as missing:
        Settings().require(name.lower())
    with pytest.raises(SettingsWrong) as unreadable:
        Settings.from_environment({f"REGISTA_{name}_FILE": str(tmp_path / "none")})
    assert without_secrets(str(missing.value)) == f"REGISTA_{name} is required and empty"
    assert without_secrets(str(unreadable.value)).startswith(f"REGISTA_{name}_FILE cannot be read (")


@pytest.mark.parametrize(
    "url", ["mysql://u:s3cret@h/regista", "regista", "postgresql://u:s3cret@h:port/regista", "://h/d"]
)
def test_a_database_url_of_another_form_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsWrong, match=r"^REGISTA_DATABASE_URL: must be postgresql://") as refused:
        Settings.from_environment({"REGISTA_DATABASE_URL": url})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss@h:5432/regista?sslmode=verify-full",
        "postgres://u@one:5432,two:5433/regista",
        "postgresql://u:p:q@[::1]:5432/regista",
        "postgresql:///regista?host=/run/postgresql",
        "postgresql://h",
    ],
)
def test_a_database_url_that_the_driver_reads_is_accepted(url: str) -> None:
    assert Settings.from_environment({"REGISTA_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    with pytest.raises(SettingsWrong, match=rf"^REGISTA_KAFKA_CA_FILE: {file} has no certificates"):
        Settings.from_environment({"REGISTA_KAFKA_CA_FILE": str(file)})


def test_an_address_that_nothing_can_listen_at_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsWrong, match=r"^REGISTA_HTTP_HOST: cannot listen on 192\.0\.2\.1:0 \("):
        Server(lambda *_: None, Settings(http_host="192.0.2.1"))
    with pytest.raises(SettingsWrong, match=r"^REGISTA_HTTP_HOST: cannot listen on no\.such\.host:0 \("):
        Server(lambda *_: None, Settings(http_host="no.such.host"))
