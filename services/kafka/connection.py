"""How to reach a cluster as its administrator."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

SECURITIES = ("PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
ANSWERS_WITHIN = 20.0
"""Time limit for each answer of the cluster, in seconds."""
_quiet = logging.getLogger("regista.kafka-admin")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False  # the client reports each refused connection while a broker starts


class ClusterError(Exception):
    """The cluster cannot be reached, or refuses. The message states what to do."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster and a principal. `more` are further properties of librdkafka, which replace the others."""

    bootstrap: str
    security: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    more: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def properties(self) -> dict[str, str]:
        """The properties of librdkafka."""
        found = {"bootstrap.servers": self.bootstrap, "security.protocol": self.security}
        if self.security.startswith("SASL"):
            found |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.user,
                "sasl.password": self.password,
            }
        if self.security.endswith("SSL") and self.ca_file:
            found["ssl.ca.location"] = self.ca_file
        return found | dict(self.more)

    def admin(self, reasons: list[str] | None = None) -> AdminClient:
        """Return a client of librdkafka. Raises ClusterError for properties that it refuses.

        `reasons` gets why it cannot connect, while the client is polled.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 - `regista --help` does without it
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415

        limits: dict[str, Any] = {
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "socket.timeout.ms": int(ANSWERS_WITHIN * 500),
        }
        if reasons is not None:
            limits["error_cb"] = lambda error: reasons.append(error.str())
        try:
            return AdminClient({**limits, **self.properties}, logger=_quiet)
        except KafkaException as wrong:
            about = f" (CA file: {self.ca_file})" if self.ca_file else ""
            raise ClusterError(f"the connection cannot be made{about}: {wrong.args[0].str()}") from None

    def aiokafka(self) -> dict[str, Any]:
        """Return the options of aiokafka's clients. Raises ClusterError for what it does not have."""
        given = self.properties
        mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms", ""))
        security = given["security.protocol"].upper()
        found: dict[str, Any] = {
            "bootstrap_servers": given["bootstrap.servers"],
            "security_protocol": security,
        }
        if security.startswith("SASL"):
            if mechanism not in MECHANISMS:
                raise ClusterError(f"quotas are read and set with {', '.join(MECHANISMS)} or SSL only")
            found |= {
                "sasl_mechanism": mechanism,
                "sasl_plain_username": given.get("sasl.username", ""),
                "sasl_plain_password": given.get("sasl.password", ""),
            }
        if security.endswith("SSL"):
            found["ssl_context"] = _tls(given)
        return found


def _tls(given: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=given.get("ssl.ca.location"))
        if certificate := given.get("ssl.certificate.location"):
            password = given.get("ssl.key.password")
            context.load_cert_chain(certificate, given.get("ssl.key.location"), password)
    except OSError as wrong:  # also what is no certificate
        raise ClusterError(f"the certificates cannot be used: {wrong}") from None
    if given.get("ssl.endpoint.identification.algorithm", "https") == "none":
        context.check_hostname = False
    return context


def properties_of(file: Path) -> dict[str, str]:
    """Return the properties of a file of librdkafka, as kcat reads it. Raises ClusterError."""
    found = {}
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as wrong:
        raise ClusterError(f"{file} cannot be read: {wrong}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name.strip() in {"sasl.jaas.config", "ssl.truststore.location"}:
            raise ClusterError(
                f"line {number} of {file} is no property of librdkafka (name=value): Java's properties"
                " have other names (ssl.ca.location, sasl.username, sasl.password)"
            )
        found[name.strip()] = value.strip()
    return found
