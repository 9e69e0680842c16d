"""A publisher's profile on the real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from regista.profile import Profile
from regista.wire.keys import SigningKey, generate_signing_key
from services.local.stack import Stack


@pytest.fixture
def signing_key(tmp_path: Path) -> SigningKey:
    key = generate_signing_key("publisher:nightly")
    key.save(tmp_path / "key.json")
    return key


@pytest.fixture
def publisher(stack: Stack, signing_key: SigningKey, tmp_path: Path) -> Profile:
    return Profile(
        url="http://127.0.0.1:9", key_file=str(tmp_path / "key.json"), cache_dir=str(tmp_path / "cache"), usage_window=0,
        kafka_bootstrap=stack.kafka.bootstrap, kafka_user="pipeline", kafka_password=stack.kafka.password("pipeline"), kafka_security="SASL_PLAINTEXT",
    )  # fmt: skip
