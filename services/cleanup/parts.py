"""What the process of this service keeps besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from services.cleanup.look_ups import Reports


@dataclass(frozen=True, slots=True)
class Parts:
    """`reports` places reports of use, also those that are read before the registration of their model."""

    reports: Reports
