"""The canonical text of single values: decimals, time zones, frequencies."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

UTC_NAMES = frozenset({"utc", "etc/utc", "z", "+00:00", "-00:00", "utc+00:00", "utc-00:00", "tzutc()"})
_FREQUENCIES = {"A": "Y", "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "N": "ns"} | {
    f"{unit}E": unit for unit in "YQM"
}
"""Other names of pandas for a frequency: of older releases, and of the end of a period."""


def decimal_text(value: Decimal) -> str:
    """Return digits without exponent, without zeros at the end; zero has no sign. `NaN`, `Infinity`."""
    if not value.is_finite():
        return "NaN" if value.is_nan() else ("-Infinity" if value < 0 else "Infinity")
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits)))
    return scaled_text(-number if sign else number, -int(exponent))


def scaled_text(number: int, scale: int) -> str:
    """Return the decimal `number / 10^scale` as text."""
    digits = str(abs(number))
    if scale > 0:
        digits = digits.zfill(scale + 1)
        rest = digits[-scale:].rstrip("0")
        digits = digits[:-scale] + ("." + rest if rest else "")
    elif number:
        digits += "0" * -scale
    return "-" + digits if number < 0 else digits


def zone_name(zone: tzinfo | str) -> str:
    """Return the name of a time zone: of the tz database, `UTC`, or an offset such as `+01:00`."""
    name = zone if isinstance(zone, str) else _name_of(zone)
    return "UTC" if name.casefold() in UTC_NAMES else name


def _name_of(zone: tzinfo) -> str:
    for attribute in ("key", "zone"):  # zoneinfo, pytz
        if name := getattr(zone, attribute, None):
            return str(name)
    file: Any = getattr(zone, "_filename", "")  # dateutil
    if file:
        return str(file).rpartition("zoneinfo/")[2]
    offset = zone.utcoffset(None)
    if offset is None:
        offset = zone.utcoffset(datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None))
    if offset is None:
        return str(zone)
    seconds = int(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    minutes, odd = divmod(rest, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}" + (f":{odd:02}" if odd else "")


def period_type(frequency: str) -> str:
    """Return the type of pandas' periods of a frequency, under the name that it has in pandas 3."""
    first, dash, rest = frequency.partition("-")
    count = first.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    unit = first[len(count) :]
    return f"period[{count}{_FREQUENCIES.get(unit, unit)}{dash}{rest}]"
