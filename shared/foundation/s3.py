"""The settings of an S3 server: where it is, and as whom it is used."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from shared.foundation.settings import Settings, SettingsWrong


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 server, and as whom it is used.

    `endpoint` is `host:port`. `secure`: use TLS. `region` is the bucket's region: requests are signed for it;
    stores other than AWS accept any. `virtual_host`: the bucket is part of the host's name
    (`bucket.host:port`) and not of the path.

    `session_token` belongs to a temporary key. Without `access_key` the credentials are those of the
    process: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, the role of
    AWS_WEB_IDENTITY_TOKEN_FILE (exchanged at `sts_endpoint`, AWS's own by default), the role of the container
    or the role of the instance. They are renewed before they expire.
    """

    endpoint: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = "us-east-1"
    secure: bool = False
    virtual_host: bool = False
    sts_endpoint: str = ""


def server_of(settings: Settings, prefix: str) -> S3Server:
    """Return the server that the settings `<prefix>_endpoint`, `<prefix>_access_key` … name.

    Raises SettingsWrong.
    """
    server = S3Server(**{f.name: getattr(settings, f"{prefix}_{f.name}") for f in fields(S3Server)})
    if server.access_key or server.secret_key or server.session_token:
        settings.require(f"{prefix}_access_key", f"{prefix}_secret_key")
    if getattr(settings, f"{prefix}_kms_key") and not server.secure:
        name = f"REGISTA_{prefix.upper()}"
        raise SettingsWrong(f"{name}_KMS_KEY needs TLS: set {name}_SECURE=true")
    return server
