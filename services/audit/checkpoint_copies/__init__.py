"""Keep log checkpoints outside the database, and let none be signed that contradicts one of them."""
