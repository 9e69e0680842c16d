"""Write the public contracts as files: `python -m tools.contracts` writes schemas/, and tests compare them."""
