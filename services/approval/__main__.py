"""`python -m services.approval`."""

from services.approval.service import process
from shared.run import main

main(process)
