"""What the process of this service keeps besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from services.mirror.registry_reader import RegistryReader
from services.mirror.settings import MirrorSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """`reader` reads from the other services, `settings` has the folder of the targets' settings."""

    reader: RegistryReader
    settings: MirrorSettings
