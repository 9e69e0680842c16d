"""`POST /v1/tokens:exchange` (RFC 8693): a job sends its token and gets a short-lived API key."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from regista.wire.keys import new_key_id
from services.registry.access.api.calls import transactor
from services.registry.access.domain.trusts import ExchangeToken
from services.registry.access.job_tokens import Offered, recorded, starter_of
from services.registry.access.trust_shapes import ExchangeAnswer, ExchangeForm
from services.registry.parts import Parts
from shared.deciding.access import KeyIssued, stream_of
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.issuers import issuer_key
from shared.deciding.submission import Cause, Outcome, Submission
from shared.deciding.trusts import Job, Trust
from shared.foundation.telemetry import current_trace
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route
from shared.identity import directory
from shared.identity.access_view import ApiKey, new_api_key
from shared.identity.sign_ins import KeysUnavailable
from shared.identity.tokens import LARGEST, TokenRefused
from shared.log.denied_attempts import NOT_IDENTIFIED

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
SUBJECT_TYPES = frozenset(
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("jwt", "id_token", "access_token")
)
MOST_BYTES = LARGEST + 8 * 1024
MOST_FIELDS = 20
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


async def exchange_token(call: Call) -> Reply:
    """Return an API key of the publisher that trusts the job, until its token ends.

    Public: the token is the credential. It is used once, when it has an id (`jti`).
    """
    if not call.app.serving:
        raise Problem(
            503, "starting", "The service is not ready yet: repeat the request.", {"retry-after": "2"}
        )
    fields = await _form(call)
    _check_request(fields)
    try:
        offered = await call.app.parts_as(Parts).job_tokens.offered(fields["subject_token"])
        subject, trust = _chosen(offered, fields.get("trust", ""))
        starter, jti = starter_of(trust, offered.claims), offered.jti
    except TokenRefused as refused:
        raise _refused(call, "token_refused", str(refused)) from refused
    except KeysUnavailable as why:
        raise Problem(
            503,
            "issuer_unreachable",
            "The keys of the token's issuer could not be read yet: repeat the request soon.",
            {"retry-after": "5"},
        ) from why
    called = await directory.subjects_called(call.app.pool, [starter]) if starter else {}
    job = Job(trust.trust_id, called.get(starter, starter), recorded(trust, offered.claims))
    made = new_api_key(call.app.settings.pepper)
    command = _command(fields, subject, job, offered, made)
    outcome = await _submit(call, command, offered.issuer, jti)
    return _answer(outcome, trust, job, made)


async def _form(call: Call) -> Mapping[str, str]:
    """Return the fields of the form. Raises Problem 415, 413 and 400."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(
            415, "no_form", "Send the request as application/x-www-form-urlencoded (RFC 8693, section 2.1)."
        )
    body = b""
    async for piece in call.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise Problem(413, "body_too_large", f"The form may have {MOST_BYTES} bytes.", limit=MOST_BYTES)
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=MOST_FIELDS)
    except (ValueError, UnicodeDecodeError) as wrong:
        raise _invalid(f"The body is no form of at most {MOST_FIELDS} fields.") from wrong
    if len({name for name, _ in pairs}) < len(pairs):
        raise _invalid("A field of the form is there twice: send each once.")
    return dict(pairs)


def _check_request(fields: Mapping[str, str]) -> None:
    if fields.get("grant_type") != GRANT:
        raise _invalid(f"grant_type must be {GRANT}.", error="unsupported_grant_type")
    if not fields.get("subject_token") or fields.get("subject_token_type") not in SUBJECT_TYPES:
        raise _invalid(
            f"Send subject_token, and subject_token_type as one of {', '.join(sorted(SUBJECT_TYPES))}."
        )
    if fields.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise _invalid(f"requested_token_type can only be {ACCESS_TOKEN}: leave it out.")
    if "actor_token" in fields or "actor_token_type" in fields:
        raise _invalid("There is no delegation here: leave actor_token out.")
    if "resource" in fields or "audience" in fields:
        raise _invalid(
            "The key is for this registry only: leave resource and audience out.", "invalid_target"
        )
    if "public_key" in fields and not _PUBLIC_KEY.fullmatch(fields["public_key"]):
        raise _invalid("public_key is the public half of an Ed25519 key, as 64 lower-case hex digits.")


def _chosen(offered: Offered, wanted: str) -> tuple[str, Trust]:
    """Return the one trust that counts, with its publisher. Raises TokenRefused."""
    fitting = [one for one in offered.fitting if wanted in {"", one[1].trust_id}]
    if not fitting:
        raise TokenRefused(
            "No trust fits the claims of this token: compare them with `regista access trust list`."
        )
    if len(fitting) > 1:
        ids = ", ".join(trust.trust_id for _, trust in fitting)
        raise TokenRefused(f"Several trusts fit this token ({ids}): send the id of one as the field `trust`.")
    return fitting[0]


def _command(
    fields: Mapping[str, str], subject: str, job: Job, offered: Offered, made: ApiKey
) -> ExchangeToken:
    public_key = fields.get("public_key", "")
    return ExchangeToken(
        subject,
        job.trust_id,
        dict(offered.claims),
        job,
        offered.expires_at,
        made.key_id,
        made.verifier,
        new_key_id() if public_key else "",
        public_key,
    )


async def _submit(call: Call, command: ExchangeToken, issuer: str, jti: str) -> Outcome:
    """Issue the keys. The id of the token is the cause, so that a token with an id has one effect."""
    call.actor = Actor(
        command.subject, method=f"trust:{command.trust_id}", on_behalf_of=command.job.started_by or None
    )
    used = hashlib.sha256(jti.encode("utf-8", "surrogatepass")).hexdigest() if jti else str(uuid.uuid4())
    cause = Cause(f"token/{issuer_key(issuer)}", used, b"", trace=current_trace())
    try:
        outcome = await transactor(call).submit(
            Submission(command, (stream_of(command.subject),), cause, call.actor)
        )
    except RuleBroken as broken:
        raise _refused(call, broken.code, broken.detail) from broken
    if outcome.replayed:
        raise _refused(
            call, "token_used", "This token was exchanged before, and each counts once: get another token."
        )
    return outcome


def _answer(outcome: Outcome, trust: Trust, job: Job, made: ApiKey) -> Reply:
    issued: list[KeyIssued] = [recorded_.event for recorded_ in outcome.events]
    ends = issued[0].expires_at or outcome.events[0].recorded_at
    seconds = (ends - datetime.now(UTC)).total_seconds()
    signing = [key.key_id for key in issued if key.algorithm == "ed25519"]
    answer = {
        "access_token": made.text,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": max(0, int(seconds)),
        "scope": " ".join(f"publisher:{one}" for one in trust.namespaces),
        "publisher": issued[0].subject,
        "started_by": job.started_by,
        "key_id": made.key_id,
        "signing_key_id": signing[0] if signing else None,
        "expires_at": ends,
    }
    return Reply(answer, headers={"cache-control": "no-store", "pragma": "no-cache"})


def _refused(call: Call, code: str, detail: str) -> Problem:
    """Return the refusal of a token, and note it: no log line and no answer has the token itself."""
    if call.app.denied_attempts is not None:
        call.app.denied_attempts.note(NOT_IDENTIFIED, code, "POST /v1/tokens:exchange", detail)
    return _invalid(detail, code=code)


def _invalid(detail: str, error: str = "invalid_request", code: str = "invalid_request") -> Problem:
    """Return 400 in the form of RFC 6749 (section 5.2), beside the problem.

    RFC 8693 wants `invalid_request` for a token that is not valid or not acceptable, too.
    """
    headers = {"cache-control": "no-store"}
    return Problem(400, code, detail, headers, error=error, error_description=detail)


ROUTES = (
    Route(
        "POST",
        "/v1/tokens:exchange",
        exchange_token,
        "Exchange the token of a job for a short-lived API key",
        response=ExchangeAnswer,
        public=True,
        streams=True,
        form=ExchangeForm,
        also=(400, 413, 415),
        tags=("access",),
    ),
)
