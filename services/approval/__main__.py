"""`python -m services.approval`."""

from services.approval.service import process
from shared.run import main

if __name__ == "__main__":
    main(process)
