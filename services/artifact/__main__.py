"""`python -m services.artifact`."""

from services.artifact.service import process
from shared.run import main

if __name__ == "__main__":
    main(process)
