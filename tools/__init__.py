"""Programs for whoever works on Regista: not installed, run from the checkout."""
