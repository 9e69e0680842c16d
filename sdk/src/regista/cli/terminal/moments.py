"""Options that name a time or a day."""

from __future__ import annotations

import click

DAY_OR_TIME = "RFC 3339, or a day in UTC such as 2026-03-01"

SINCE = click.option("--since", metavar="TIME", help=f"From this time on: {DAY_OR_TIME}.")
UNTIL = click.option("--until", metavar="TIME", help=f"Up to this time: {DAY_OR_TIME}, that day included.")
AT = click.option("--at", "moment", metavar="TIME", help=f"{DAY_OR_TIME}; a day means its end. Default: now.")
