"""The settings of the registry: what counts in the comparison of two versions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.registry.domain.versioning.bump import DEFAULT
from services.registry.domain.versioning.noise import NOISE
from services.registry.settings import RegistrySettings
from shared.foundation.settings import SettingsWrong

PAGE = Path(__file__).parents[3] / "docs" / "versions.md"


def test_without_settings_the_policy_is_the_default():
    assert RegistrySettings.from_environment({}).bump_policy == DEFAULT


def test_noise_keys_replace_the_default_unless_they_name_it():
    own = RegistrySettings.from_environment({"REGISTA_NOISE_KEYS": "job, trainer.port ,"})
    assert own.bump_policy.noise == ("job", "trainer.port")
    more = RegistrySettings.from_environment({"REGISTA_NOISE_KEYS": "default,job"})
    assert more.bump_policy.noise == (*NOISE, "job")
    assert RegistrySettings.from_environment({"REGISTA_NOISE_KEYS": ""}).bump_policy.noise == ()


def test_the_threshold_is_a_setting_and_is_no_negative_number():
    assert RegistrySettings.from_environment({"REGISTA_METRIC_THRESHOLD": "0.05"}).metric_threshold == 0.05
    for wrong in ("-1", "nan", "much"):
        with pytest.raises(SettingsWrong, match="REGISTA_METRIC_THRESHOLD"):
            RegistrySettings.from_environment({"REGISTA_METRIC_THRESHOLD": wrong})


def test_the_page_lists_every_default_noise_key():
    listed = re.search(r"<!-- noise -->(.*?)<!-- /noise -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert listed
    assert set(re.findall(r"`([^`]+)`", listed[1])) == set(NOISE)
