"""A service that cannot be described: its factory fails."""

from __future__ import annotations

from shared.http.app import App
from shared.run import Process, main


def process(_: App) -> Process:
    raise ZeroDivisionError("division by zero")


if __name__ == "__main__":
    main(process)
