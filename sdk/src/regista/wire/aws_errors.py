"""What an error of AWS's services is, by what its caller can do about it."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """Repeat it, renew credentials, request a right, check the name, read again, or change the request."""

    BUSY = "busy"
    CREDENTIALS = "credentials"
    DENIED = "denied"
    MISSING = "missing"
    CHANGED = "changed"
    REFUSED = "refused"


_WORDS = {
    Kind.BUSY: "throttl requestlimitexceeded toomanyrequests slowdown internalfailure internalerror "
    "internalserver serviceunavailable requesttimeout priorrequestnotcomplete",
    Kind.CREDENTIALS: "expiredtoken tokenrefreshrequired invalidtoken unrecognizedclient invalidclienttoken "
    "invalidaccesskey invalidsignature signaturedoesnotmatch incompletesignature missingauthenticationtoken "
    "authfailure requesttimetooskewed requestexpired",
    Kind.DENIED: "accessdenied unauthorizedoperation notauthorized optinrequired",
    Kind.MISSING: "nosuchbucket nosuchkey nosuchversion resourcenotfound notfound",
    Kind.CHANGED: "preconditionfailed",
}
"""The beginnings of codes in lower case. A service may add Exception or Error."""
_STATUSES = {401: Kind.CREDENTIALS, 403: Kind.DENIED, 404: Kind.MISSING, 412: Kind.CHANGED}
_BUSY = frozenset({408, 425, 429})


def kind_of(code: str, status: int, message: str = "") -> Kind:
    """Return the kind of an error. SageMaker reports what is missing as a ValidationException."""
    lower = code.lower()
    for kind, words in _WORDS.items():
        if any(lower.startswith(word) for word in words.split()):
            return kind
    if lower == "validationexception" and "does not exist" in message:
        return Kind.MISSING
    if status >= 500 or status in _BUSY:
        return Kind.BUSY
    return _STATUSES.get(status, Kind.REFUSED)
