"""Make SeaweedFS's parts trust each other only: mutual TLS on every port but the S3 gateway's.

Without it any user of the machine reads and deletes all objects through the ports of master, volume and
filer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.local.folders import LOOPBACK, write_private

CA, CERTIFICATE, KEY = "ca.pem", "weed.pem", "weed.key"
FILES = ("security.toml", CA, CERTIFICATE, KEY)
"""What `weed` needs in its working folder."""
VALID = timedelta(days=3650)
_JWT = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
_GRPC = ("master", "volume", "filer", "s3", "client")
_HTTPS = ("master", "volume", "filer")


def write_security(folder: Path, secret: str) -> None:
    """Write `security.toml`, and the certificate of the parts when there is none yet.

    `secret` signs the tokens with which the parts read and write each other's bytes.
    """
    if not all((folder / name).exists() for name in (CA, CERTIFICATE, KEY)):
        _issue(folder)
    write_private(folder / "security.toml", _configuration(secret))


def _configuration(secret: str) -> str:
    pair = f'cert = "{CERTIFICATE}"\nkey = "{KEY}"\n'
    ca = f'ca = "{CA}"\n'
    sections = {
        **dict.fromkeys(_JWT, f'key = "{secret}"\n'),
        "grpc": ca,
        **{f"grpc.{part}": pair for part in _GRPC},
        **{f"https.{part}": pair + ca for part in _HTTPS},
        "https.client": "enabled = true\n" + pair + ca,
        "filer.expose_directory_metadata": "enabled = false\n",
    }
    return "\n".join(f"[{name}]\n{content}" for name, content in sections.items())


def _issue(folder: Path) -> None:
    """Issue one certificate for all parts. The authority's key is not kept: it never issues another."""
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, subject = _name("regista-s3-ca"), _name("regista-s3")
    ca = (
        _builder(issuer, issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority, hashes.SHA256())
    )
    hosts = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address(LOOPBACK))]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(subject, issuer, own.public_key())
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(authority, hashes.SHA256())
    )
    key = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(folder / KEY, key.decode())
    write_private(folder / CA, ca.public_bytes(serialization.Encoding.PEM).decode())
    write_private(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM).decode())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
    )
