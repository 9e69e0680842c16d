"""Write the contracts as files: `python -m tools.contracts` writes schemas/; tests compare them."""
