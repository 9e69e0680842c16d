"""Let the people of the local issuer sign in: trust it, map its groups, and show how."""

from __future__ import annotations

from collections.abc import Callable

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import RegistaError
from services.local.folders import LocalError
from services.local.instance import Instance
from services.local.keycloak import CLIENT, PEOPLE, ROLES


def introduce(instance: Instance) -> None:
    """Trust the issuer and map its groups, as the administrator. A repetition changes nothing.

    Raises LocalError.
    """
    key = instance.identities.admin_key_file.read_text().strip()
    issuer = instance.stack.keycloak.issuer
    try:
        with Client(Profile(url=instance.urls["registry"], api_key=key, usage_window=0)) as admin:
            admin.trust_issuer(issuer, client_id=CLIENT)
            for group, role in ROLES.items():
                admin.map_group(group, role, "*", issuer)
    except RegistaError as refused:
        raise LocalError(f"the registry does not trust {issuer}: {refused}") from refused


def show(instance: Instance, output: Callable[[str], None]) -> None:
    """Print how to sign in as each of the people."""
    output(f"Sign in with {instance.stack.keycloak.issuer} as one of:")
    for person, groups in PEOPLE.items():
        roles = ", ".join(ROLES[group] for group in groups)
        password = instance.stack.keycloak.password_file(person)
        command = f"regista --profile {person} login"
        output(f"  {person:<6} {roles:<9} {command:<30} password: cat {password}")
