"""Send signed messages to Kafka with one idempotent producer; needs `regista[kafka]`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from typing import Any

from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.errors import Forbidden, NotConfigured, TooLarge, Unavailable
from regista.kafka_reasons import kafka_reasons
from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.limits import RECORD_BYTES

SEND_SECONDS = 30.0
STOP_SECONDS = 5.0
CONNECTING = (
    "If Kafka runs, compare REGISTA_KAFKA_BOOTSTRAP, _USER, _PASSWORD, _SECURITY and _MECHANISM with its"
    " listener: with a user the client expects TLS (SASL_SSL; without TLS SASL_PLAINTEXT), without one PLAINTEXT."
    " Else try again later."
)
"""What to do when no connection to Kafka is made."""
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


class KafkaSender:
    """Send CloudEvents. The producer starts with the first one."""

    def __init__(self, profile: Profile, patience: Patience | None = None) -> None:
        self._profile = profile
        self._patience = patience or Patience()
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def send(self, topic: str, event: CloudEvent) -> None:
        """Send an event and wait until the brokers have stored it (acks=all).

        Raises Forbidden, TooLarge, and Unavailable. After Unavailable the event may have been stored or not;
        sending it again is harmless.
        """
        key, value, headers = to_kafka(event)
        producer = await self._started()
        from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAuthorizationFailedError  # noqa: PLC0415 - an extra, loaded when used

        try:
            with kafka_reasons() as reasons:
                async with asyncio.timeout(SEND_SECONDS):
                    await producer.send_and_wait(topic, value, key=key, headers=headers)
        except TopicAuthorizationFailedError as e:
            advice = "Use the Kafka user of a publisher (REGISTA_KAFKA_USER), or publish over HTTP."
            raise Forbidden(
                "kafka_forbidden",
                f"{self._profile.kafka_user or 'anonymous'} may not write to {topic}",
                advice=advice,
            ) from e
        except MessageSizeTooLargeError as e:
            raise TooLarge(
                "message_too_large",
                f"the message has {len(value)} bytes, more than {topic} accepts",
                advice="Shorten config or environment.",
            ) from e
        except (KafkaError, TimeoutError) as e:
            raise Unavailable(
                "kafka_unavailable",
                f"{self._profile.kafka_bootstrap} did not store the message on {topic}: "
                f"{reasons.with_error(e)}",
            ) from e

    async def close(self) -> None:
        """Flush and close the producer, in STOP_SECONDS at most."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._connected()
            return self._producer

    async def _connected(self) -> Any:
        try:
            from aiokafka.errors import KafkaError  # noqa: PLC0415
        except ImportError:
            raise NotConfigured(
                "kafka_missing",
                "publishing to Kafka needs `pip install 'regista[kafka]'`",
                advice="Install it, or publish over HTTP.",
            ) from None
        settings, last = connection(self._profile), Exception("no answer")
        with contextlib.suppress(TimeoutError), kafka_reasons() as reasons:
            async with asyncio.timeout(self._patience.total):
                for attempt in itertools.count():
                    try:
                        return await _started_producer(settings)
                    except (KafkaError, TimeoutError) as e:
                        last = e
                    if attempt + 1 == self._patience.attempts:
                        break
                    await asyncio.sleep(self._patience.pause(attempt, None))
        raise Unavailable(
            "kafka_unavailable",
            f"{self._profile.kafka_bootstrap} is unreachable, or refuses the user: "
            f"{reasons.with_error(last)}",
            advice=CONNECTING,
        ) from last


async def _started_producer(settings: dict[str, Any]) -> Any:
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415

    producer = AIOKafkaProducer(
        **settings,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        compression_type="gzip",  # zstd is faster, and some clients cannot read it
        max_request_size=RECORD_BYTES,
    )
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await producer.start()
    except BaseException:
        await _stop(producer)
        raise
    return producer


async def _stop(producer: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()


def connection(profile: Profile) -> dict[str, Any]:
    """Return aiokafka's connection settings."""
    settings: dict[str, Any] = {
        "bootstrap_servers": profile.need("kafka_bootstrap"),
        "client_id": "regista-python",
    }
    security = profile.kafka_security or ("SASL_SSL" if profile.kafka_user else "PLAINTEXT")
    settings["security_protocol"] = security
    if security.startswith("SASL"):
        if profile.kafka_mechanism not in MECHANISMS:
            raise NotConfigured(
                "not_configured",
                f"REGISTA_KAFKA_MECHANISM is {profile.kafka_mechanism!r}",
                advice=f"Set it to one of {', '.join(MECHANISMS)}.",
            )
        settings |= {
            "sasl_mechanism": profile.kafka_mechanism,
            "sasl_plain_username": profile.kafka_user,
            "sasl_plain_password": profile.kafka_password,
        }
    if security.endswith("SSL"):
        try:
            settings["ssl_context"] = ssl.create_default_context(cafile=profile.kafka_ca_file or None)
        except (OSError, ssl.SSLError) as e:
            raise NotConfigured(
                "not_configured",
                f"REGISTA_KAFKA_CA_FILE: {profile.kafka_ca_file}: {e}",
                advice="Name a PEM file with the certificate authority of the brokers.",
            ) from None
    return settings
