from __future__ import annotations

from pathlib import Path

import pytest

from shared.foundation.settings import Settings, SettingsWrong


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


def test_secrets_do_not_show() -> None:
    shown = repr(Settings(pepper="s3cret", database_url="postgresql://u:s3cret@h/d", kafka_password="s3cret"))
    assert "s3cret" not in shown


def test_a_missing_required_setting_is_named() -> None:
    with pytest.raises(SettingsWrong, match="REGISTA_PEPPER"):
        Settings(database_url="x").require("database_url", "pepper")


def test_messages_are_written_with_a_codec_that_every_client_reads_unless_it_is_set() -> None:
    assert Settings().kafka_compression == "gzip"
    assert Settings.from_environment({"REGISTA_KAFKA_COMPRESSION": "zstd"}).kafka_compression == "zstd"
    with pytest.raises(SettingsWrong, match="REGISTA_KAFKA_COMPRESSION"):
        Settings.from_environment({"REGISTA_KAFKA_COMPRESSION": "brotli"})
