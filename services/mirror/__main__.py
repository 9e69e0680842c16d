"""`python -m services.mirror`."""

from services.mirror.service import process
from shared.run import main

if __name__ == "__main__":
    main(process)
