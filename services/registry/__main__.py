"""`python -m services.registry` runs the service; `… bootstrap --spec FILE` writes the first identities."""

from __future__ import annotations

import sys

from services.registry.access.bootstrap import main as bootstrap
from services.registry.service import process
from shared.run import main

if __name__ == "__main__":
    if sys.argv[1:2] == ["bootstrap"]:
        bootstrap(sys.argv[2:])
    else:
        main(process)
