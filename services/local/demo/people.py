"""Before the story: its people get keys and roles from the administrator.

Nobody is anonymous, not even here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.errors import RuleBroken
from regista.wire.keys import generate_signing_key, load_signing_key
from services.local.demo.scene import NAMESPACE, Scene
from services.local.instance import Instance
from services.local.kafka import SECURITY
from services.local.places import write_private
from shared.deciding.access import EVERYWHERE


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, what they may do and where, and, for a publisher, by which Kafka user it publishes.

    The keys of PEOPLE are what the story and the profiles on this machine call them; a person's subject says
    nothing about them.
    """

    kind: str
    name: str
    roles: tuple[str, ...]
    kafka_user: str = ""
    namespace: str = NAMESPACE


PEOPLE: Mapping[str, Person] = MappingProxyType(
    {
        "ada": Person(
            "person", "Ada Lovelace", ("engineer", "approver")
        ),  # data scientist; may approve, but not her own
        "grace": Person("person", "Grace Hopper", ("approver",)),
        "edsger": Person("person", "Edsger Dijkstra", ("approver",)),
        "barbara": Person(
            "person", "Barbara Liskov", ("auditor",), namespace=EVERYWHERE
        ),  # history as files is for auditors of everything
        "training-pipeline": Person(
            "publisher", "The training pipeline", ("publisher",), kafka_user="pipeline"
        ),
        "scoring-api": Person(
            "publisher", "The service that asks the models", ("publisher",), kafka_user="serving"
        ),
    }
)


async def introduce(scene: Scene) -> None:
    """Everybody gets an identity, roles and keys; keys of an earlier run are used again."""
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
        ]:  # a reader erased it after an earlier story: without a name nobody signs
            await admin.set_name(subject, person.name)
        scene.people[who] = await scene.closing.enter_async_context(
            AsyncClient(await _profile(admin, instance, subject, person, api_key))
        )
    instance.write_profile()  # so that the reader can go on as any of them: `regista --profile grace …`


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
    for role in person.roles:  # whoever has it already gets no event
        await admin.grant(subject, role, person.namespace)
    return file.read_text().strip()


async def _profile(
    admin: AsyncClient, instance: Instance, subject: str, person: Person, api_key: str
) -> Profile:
    """A person calls by HTTP; a publisher also signs, and writes to Kafka as a user of its own."""
    url = instance.urls["registry"]
    if not person.kafka_user:
        return Profile(
            url=url, api_key=api_key, cache_dir=str(instance.place.folder("cache")), usage_window=1.0
        )
    key_file = instance.place.folder("secrets") / f"signing-{subject}.json"
    if not key_file.exists():
        made = generate_signing_key(subject)
        await admin.issue_key(subject, key_id=made.key_id, public_key=made.public.hex())
        made.save(key_file)
    return Profile(
        url=url,
        api_key=api_key,
        key_file=str(key_file),
        creator=load_signing_key(key_file).subject,
        cache_dir=str(instance.place.folder("cache")),
        usage_window=1.0,
        kafka_bootstrap=instance.stack.kafka.bootstrap,
        kafka_user=person.kafka_user,
        kafka_password=instance.stack.kafka.password(person.kafka_user),
        kafka_security=SECURITY,
    )
