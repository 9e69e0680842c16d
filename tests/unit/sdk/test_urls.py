"""What gives access is removed from the URLs in a text, and only that."""

from __future__ import annotations

import json

import pytest

from regista.urls import without_credentials

SECRET = "s3cr3t"
SIGNED = "https://store.example.com/d.csv"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"https://x-access-token:{SECRET}@github.com/acme/churn", "https://github.com/acme/churn"),
        (f"https://{SECRET}@github.com/acme/churn.git", "https://github.com/acme/churn.git"),
        (f"https://me@acme.example:{SECRET}@github.com/churn", "https://github.com/churn"),
        (f"pkg @ git+https://u:{SECRET}==@github.com/p", "pkg @ git+https://github.com/p"),
        (f"postgresql+psycopg2://u:it's{SECRET}@db:5432/x", "postgresql+psycopg2://db:5432/x"),
        (f"from HTTPS://u:{SECRET}@a/b and s3://k:{SECRET}@c", "from HTTPS://a/b and s3://c"),
        (f"https:\\/\\/u:{SECRET}@a\\/b", "https:\\/\\/a\\/b"),
        (f"abfss://u:{SECRET}@acme.example/x", "abfss://acme.example/x"),
        (f"{SIGNED}?sv=2024&se=2027&sp=r&sig={SECRET}", SIGNED),
        (f"{SIGNED}?versionId=3&X-Amz-Credential=k&X-Amz-Signature={SECRET}", SIGNED),
        (f"{SIGNED}?a=1\\u0026x-amz-security-token={SECRET}", SIGNED),
        (f"{SIGNED}?X-Goog-Signature={SECRET}", SIGNED),
        (f"{SIGNED}?AWSAccessKeyId=k&Expires=1&Signature={SECRET} later", f"{SIGNED} later"),
        (f"{SIGNED}?private_token={SECRET}", SIGNED),
        (f"{SIGNED}?a=1&amp;token={SECRET}", SIGNED),
        (f"{SIGNED}#access_token={SECRET}", SIGNED),
        (f"{SIGNED}?%73ig={SECRET}", SIGNED),
        (f"jdbc:postgresql://db/x?user=u&password={SECRET}", "jdbc:postgresql://db/x"),
    ],
)
def test_what_gives_access_is_removed(text: str, left: str) -> None:
    assert without_credentials(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/acme/churn@v1",
        "git@github.com:acme/churn.git",
        "https://mlflow.example.com/#/experiments/1/runs/2",
        "https://store.example.com/d.csv?versionId=3&part=sigma",
        "abfss://container@account.dfs.core.windows.net/d",
        "write to alice@example.com, see https://acme.example",
        '["https://a","b@c"]',
        "is it a token?",
        "",
    ],
)
def test_what_gives_no_access_stays(text: str) -> None:
    assert without_credentials(text) == text


def test_json_in_a_text_stays_json() -> None:
    inner = json.dumps({"uri": f"https://u:{SECRET}@a/b?sig={SECRET}"})
    left = without_credentials(json.dumps({"source": inner}))
    assert json.loads(json.loads(left)["source"]) == {"uri": "https://a/b"}


def test_a_text_without_a_secret_stays_after_a_second_time() -> None:
    once = without_credentials(f"https://a:{SECRET}@b@c/d?sig={SECRET}#e")
    assert without_credentials(once) == once == "https://c/d"
