"""Write JSON logs without secrets, and traces."""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.foundation.settings import Settings

_trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_WORDS = r"(?i:password|passwd|secret|pepper|authorization|api[_-]?key|access[_-]?key)"
_SECRET = re.compile(
    r"(rg_[0-9A-Za-z]+_)[0-9A-Za-z]+"  # an API key keeps its id
    r"|((?i:\b(?:bearer|basic)\s+))(?!rg_)[^\s,;\"']+"
    r"|()\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a JWT
    r"|(://[^:/@\s]+:)[^\s\"']+(?=@)"
    rf"|({_WORDS}[\w-]*[\"'\\]*\s?[:=]\s?[\"'\\]*(?!(?i:bearer|basic)\s))[^\s,;&\"'\\]+"
)
_SENSITIVE = re.compile(_WORDS)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_encoder = msgspec.json.Encoder()
MINUTE, MOST_MESSAGES = 60.0, 1_000


def without_secrets(text: str) -> str:
    """Return the text with API keys, tokens, passwords in URLs and `password=…` replaced by `***`."""
    return _SECRET.sub(lambda m: next(g for g in m.groups() if g is not None) + "***", text)


def error_summary(error: BaseException) -> str:
    """Return the class and first line of an error, or of each error in a group, as one line.

    The lines below may hold values of rows (PostgreSQL's DETAIL).
    """
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(error_summary(one) for one in error.exceptions))
    name, first = type(error).__name__, "".join(str(error).splitlines()[:1])
    return without_secrets(first if first.startswith(name) else f"{name}: {first}".removesuffix(": "))


def _redacted(value: object) -> object:
    """Return the value with each text redacted: encoded JSON would hide where a secret ends."""
    match value:
        case None | bool() | int() | float():
            return value
        case dict():
            return {str(k): "***" if _SENSITIVE.search(str(k)) else _redacted(v) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(one) for one in value]
        case _:
            return without_secrets(str(value))


WITHOUT_TEXT = frozenset({"regista.access"})
"""Loggers whose lines hold nothing that a caller wrote: the search for secrets would cost most of a line."""


class JsonFormatter(logging.Formatter):
    """Formats each record as one line of JSON, with service, trace and the `extra` fields.

    `error` is one line for people; `traceback` is for developers.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        if trace := _trace.get():
            line["trace"] = trace[3:35]
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD}
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line.setdefault("error", error_summary(error))
            line["traceback"] = self.formatException(record.exc_info)
        return _printable(line if record.name in WITHOUT_TEXT else _redacted(line))


def _printable(line: object) -> str:
    """Return JSON in which every character that could control a terminal is escaped: also C1 and bidi."""
    try:
        written = _encoder.encode(line).decode()
    except UnicodeEncodeError:  # half of a surrogate pair
        written = json.dumps(line, ensure_ascii=False, default=str)
    if written.isprintable():
        return written
    return "".join(
        c if c.isprintable() else json.dumps(c)[1:-1] if c != "\x7f" else "\\u007f" for c in written
    )


LIBRARIES = ("aiokafka", "asyncio", "asyncpg", "azure", "faststream", "urllib3", "uvicorn")


class AtMostOnceAMinute(logging.Filter):
    """Passes each message of the libraries once a minute, with the number that it left out.

    A message is its logger and its text before the arguments: aiokafka logs hundreds of lines a second while
    Kafka is unavailable. The traceback of a library is kept with the first message only.
    """

    def __init__(
        self, libraries: tuple[str, ...] = LIBRARIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._libraries = libraries
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in self._libraries:
            return True
        key, now = (record.name, str(record.msg)[:200]), self._clock()
        passed_at, left_out = self._seen.get(key, (now - MINUTE, 0))
        if now - passed_at < MINUTE:
            self._seen[key] = passed_at, left_out + 1
            return False
        if len(self._seen) >= MOST_MESSAGES:
            self._seen.clear()
        self._seen[key] = now, 0
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} more of these in the last minute)"
            record.args, record.exc_info = (), None
        return True


def set_up_logs(service: str, level: str) -> None:
    """Write all logs of the process to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    handler.addFilter(AtMostOnceAMinute())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in LIBRARIES:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # The pool warns at each attempt while the database is unavailable. Readiness logs it once.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)


def new_trace() -> str:
    """Return the traceparent of a new trace that is not recorded."""
    return f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-00"


class _TraceOnly:
    """A block that belongs to a trace, without a span.

    A generator would cost three times as much as this class.
    """

    __slots__ = ("_token", "_trace")

    def __init__(self, trace: str) -> None:
        self._trace = trace

    def __enter__(self) -> str:
        self._token = _trace.set(self._trace)
        return self._trace

    def __exit__(self, *_: object) -> None:
        _trace.reset(self._token)


class Tracer:
    """Records spans of sampled traces. Other blocks only carry a trace id: 2 µs instead of 100 to 150 µs.

    The OpenTelemetry SDK is imported only when an OTLP endpoint is configured.
    """

    def __init__(self) -> None:
        self._otel: Any = None
        self._sample = 0.0

    def set_up(self, service: str, settings: Settings) -> None:
        """Export spans to `otlp_endpoint`, if it is set."""
        if not settings.otlp_endpoint:
            return
        from opentelemetry import trace  # noqa: PLC0415 - saves 15 MiB where traces are off
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider = TracerProvider(
            shutdown_on_exit=False, resource=Resource.create({"service.name": f"regista-{service}"})
        )
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(settings.otlp_endpoint.rstrip("/") + "/v1/traces", timeout=2))
        )
        trace.set_tracer_provider(provider)
        self._otel = provider.get_tracer("regista")
        self._provider = provider
        self._sample = settings.trace_sample

    def sampled(self) -> bool:
        """Return whether to record a trace that begins now."""
        return self._otel is not None and random.random() < self._sample  # noqa: S311 - sampling

    def shut_down(self) -> None:
        """Send buffered spans, for at most two seconds: an unavailable collector must not delay the end."""
        if self._otel is not None:
            sending = threading.Thread(target=self._provider.shutdown, daemon=True)
            sending.start()
            sending.join(2.0)

    def span(self, name: str, parent: str = "") -> contextlib.AbstractContextManager[str]:
        """Run the block as part of the trace of `parent`, a traceparent, and yield its own traceparent.

        Without `parent` the block belongs to the current trace or begins a new one.
        """
        parent = parent if _TRACEPARENT.fullmatch(parent) else _trace.get()
        if self._otel is not None and (parent.endswith("01") if parent else self.sampled()):
            return self._recorded(name, parent)
        return _TraceOnly(parent or new_trace())

    @contextlib.contextmanager
    def _recorded(self, name: str, parent: str) -> Iterator[str]:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        propagator = TraceContextTextMapPropagator()
        context = propagator.extract({"traceparent": parent}) if parent else None
        with self._otel.start_as_current_span(name, context=context) as span:
            carrier: dict[str, str] = {}
            propagator.inject(carrier)
            token = _trace.set(carrier.get("traceparent", parent))
            try:
                yield _trace.get()
            except BaseException as error:
                span.record_exception(error)
                raise
            finally:
                _trace.reset(token)


tracer = Tracer()


def current_trace() -> str:
    """Return the traceparent of the current block, or "" outside of a trace."""
    return _trace.get()
