"""What a model was at a moment: its events up to then, in the rows that they make."""
