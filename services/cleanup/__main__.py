"""`python -m services.cleanup`."""

from services.cleanup.service import process
from shared.run import main

if __name__ == "__main__":
    main(process)
