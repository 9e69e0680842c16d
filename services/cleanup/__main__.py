"""`python -m services.cleanup`: see shared/settings.py for what it reads from the environment."""

from services.cleanup.service import process
from shared.run import main

main(process)
