"""Trust in the certificates of the services: the authorities of this machine, and a private one."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

from regista.errors import NotConfigured


@functools.cache
def trusted(ca_file: str) -> ssl.SSLContext:
    """Return the certificate authorities of this machine (or `SSL_CERT_FILE`), and those of `ca_file`.

    They are read once: each client of httpx would need 80 ms for it. Raises NotConfigured.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(Path(ca_file).expanduser())
        except (OSError, ssl.SSLError) as e:
            raise NotConfigured(
                "not_configured",
                f"REGISTA_CA_FILE (`ca_file` of the profile): {ca_file} cannot be read: {e}",
                advice="Name a PEM file with the certificate of the authority that issued the registry's.",
            ) from None
    return context


def certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the refused certificate that caused an error, if one did."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def not_trusted(where: str, error: ssl.SSLCertVerificationError) -> NotConfigured:
    """Return the error for a certificate that this machine does not trust. Repeating would not help."""
    return NotConfigured(
        "certificate_refused",
        f"the certificate of {where} is not trusted: {error.verify_message or error}",
        advice="If a private authority issued it, name its certificate: REGISTA_CA_FILE, or `ca_file` in the"
        " profile. Otherwise check the host name in REGISTA_URL, the certificate's dates and this clock.",
    )
