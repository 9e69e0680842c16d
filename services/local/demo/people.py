"""Before the acts: the administrator gives identities, roles and keys to everyone in the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regista.choices import IdentityKind
from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.errors import RuleBroken
from regista.wire.keys import generate_signing_key, load_signing_key
from services.local.demo.scene import NAMESPACE, Scene
from services.local.folders import write_private
from services.local.instance import Instance
from services.local.kafka import SECURITY
from shared.deciding.access import EVERYWHERE


@dataclass(frozen=True, slots=True)
class Person:
    """A person or publisher: roles, namespace, and, for a publisher, its Kafka user.

    The keys of PEOPLE are profile names on this machine. A subject does not contain a name.
    """

    kind: IdentityKind
    name: str
    roles: tuple[str, ...]
    kafka_user: str = ""
    namespace: str = NAMESPACE


PEOPLE: Mapping[str, Person] = MappingProxyType(
    {
        "ada": Person(
            "person", "Ada Lovelace", ("engineer", "approver")
        ),  # data scientist; may approve, but not her own versions
        "grace": Person("person", "Grace Hopper", ("approver",)),
        "edsger": Person("person", "Edsger Dijkstra", ("approver",)),
        "barbara": Person(
            "person", "Barbara Liskov", ("auditor",), namespace=EVERYWHERE
        ),  # exporting the log needs the role everywhere
        "training-pipeline": Person(
            "publisher", "The training pipeline", ("publisher",), kafka_user="pipeline"
        ),
        "scoring-api": Person("publisher", "The scoring service", ("publisher",), kafka_user="serving"),
    }
)


async def introduce(scene: Scene) -> None:
    """Create the identities, roles and keys. Keys of an earlier run are used again."""
    instance = scene.instance
    admin = await scene.closing.enter_async_context(
        AsyncClient(
            Profile(
                url=instance.urls["registry"], api_key=instance.identities.admin_key_file.read_text().strip()
            )
        )
    )
    scene.people["admin"] = admin
    for who, person in PEOPLE.items():
        subject = scene.subjects[who] = (
            instance.identities.subject_of(who) if person.kind == "person" else who
        )
        api_key = await _api_key(admin, instance, who, subject)
        if not (await admin.identity(subject))[
            "name"
        ]:  # erased after an earlier run: only a named person can approve
            await admin.set_name(subject, person.name)
        scene.people[who] = await scene.closing.enter_async_context(
            AsyncClient(await _profile(admin, instance, subject, person, api_key))
        )
    instance.write_profile()  # for `regista --profile grace …`


async def _api_key(admin: AsyncClient, instance: Instance, who: str, subject: str) -> str:
    file, person = instance.identities.api_key_file(who), PEOPLE[who]
    if not file.exists():
        try:
            await admin.create_identity(subject, person.kind, person.name)
        except RuleBroken as exists:
            if "exist" not in f"{exists.code} {exists.detail}":
                raise
        issued = await admin.issue_key(subject)
        write_private(file, str(issued["api_key"]))
    for role in person.roles:  # a role that is granted already makes no event
        await admin.grant(subject, role, person.namespace)
    return file.read_text().strip()


async def _profile(
    admin: AsyncClient, instance: Instance, subject: str, person: Person, api_key: str
) -> Profile:
    """Return the profile of an identity.

    A person calls by HTTP; a publisher also signs and has a Kafka user.
    """
    url = instance.urls["registry"]
    if not person.kafka_user:
        return Profile(
            url=url, api_key=api_key, cache_dir=str(instance.folder.subfolder("cache")), usage_window=1.0
        )
    key_file = instance.folder.subfolder("secrets") / f"signing-{subject}.json"
    if not key_file.exists():
        made = generate_signing_key(subject)
        await admin.issue_key(subject, key_id=made.key_id, public_key=made.public.hex())
        made.save(key_file)
    return Profile(
        url=url,
        api_key=api_key,
        key_file=str(key_file),
        creator=load_signing_key(key_file).subject,
        cache_dir=str(instance.folder.subfolder("cache")),
        usage_window=1.0,
        kafka_bootstrap=instance.stack.kafka.bootstrap,
        kafka_user=person.kafka_user,
        kafka_password=instance.stack.kafka.password(person.kafka_user),
        kafka_security=SECURITY,
    )
