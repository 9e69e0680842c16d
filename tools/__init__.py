"""Programs for developers of Regista: not installed, run from the checkout."""
