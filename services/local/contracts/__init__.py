"""The public contracts as files: `python -m services.local.contracts` writes schemas/, tests compare them with the code."""
