"""`regista login`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.output import print_fields, say
from regista.cli.terminal.roles import roles_held
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    import httpx

    from regista.client.profile import Profile
    from regista.login.device import Code
    from regista.login.tokens import Tokens


@command(
    examples="regista login\nregista login --device\nregista login --issuer https://sso.example.com/realms/main"
)
@click.option(
    "--issuer",
    default="",
    metavar="URL",
    help="The sign-in of your organisation, where the registry trusts several.",
)
@click.option(
    "--device", is_flag=True, help="Show a code to enter on another device: for a machine without a browser."
)
@click.option(
    "--redirect-port",
    default=0,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="The port of this machine that the browser returns to, where the provider allows one only.",
)
@click.option(
    "--timeout",
    default=300.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    metavar="SECONDS",
    help="How long to wait for you.",
)
def login(session: Session, issuer: str, device: bool, redirect_port: int, timeout: float) -> None:
    """Sign in as a person, with the account of your organisation (OpenID Connect).

    Opens its page in a browser. Your password is never seen by Regista.
    """
    from regista.login.current import Login  # noqa: PLC0415 - imported when the command runs
    from regista.login.requests import connection  # noqa: PLC0415

    profile = session.profile()
    with connection(profile) as http:
        tokens = _tokens(http, profile, issuer, device=device, port=redirect_port, seconds=timeout)
    found, sealed = _recorded(session, profile, tokens, Login(profile))
    if not session.for_people:
        session.one(found | {"issuer": tokens.issuer})
        return
    say(f"You are signed in as {found['name'] or found['subject']}.")
    kept = "on this machine, sealed by the system's keyring" if sealed else "in a file that only you can read"
    print_fields({"roles": roles_held(found["roles"]), "issuer": tokens.issuer, "kept": kept})
    if profile.api_key:
        say(
            "An API key is set, and it is used instead of this sign-in: unset REGISTA_API_KEY, or remove "
            "the key from the profile.",
            err=True,
        )


def _tokens(
    http: httpx.Client, profile: Profile, issuer: str, *, device: bool, port: int, seconds: float
) -> Tokens:
    """Sign in by a browser, or by a code where there is none."""
    from regista.login import browser, issuers  # noqa: PLC0415
    from regista.login.device import by_device  # noqa: PLC0415

    client = issuers.chosen(issuers.offered(http, profile.need("url").rstrip("/")), issuer)
    provider = issuers.provider(http, client.issuer)
    if device or (provider.device and not port and not browser.has_browser()):
        return by_device(http, provider, client, _show_code, seconds=seconds)
    return browser.by_browser(http, provider, client, _show_url, port=port, seconds=seconds)


def _show_url(url: str) -> None:
    say("Continue in your browser. If it does not open, open this address on this machine:", err=True)
    say(f"  {url}", err=True)
    say("If your browser is on another machine: stop here, and use `regista login --device`.", err=True)


def _show_code(code: Code) -> None:
    say(f"Open {code.address} on any device, and enter the code {code.text}", err=True)
    if code.complete:
        say(f"Or open this address, which contains it: {code.complete}", err=True)


def _recorded(session: Session, profile: Profile, tokens: Tokens, kept: Any) -> tuple[dict[str, Any], bool]:
    """Let the registry record the sign-in, and keep it only when the registry accepts it."""
    from dataclasses import replace  # noqa: PLC0415

    with session.client(replace(profile, api_key=tokens.access_token)) as client:
        found = dict(client.sign_in())
    return found, kept.keep(tokens)
