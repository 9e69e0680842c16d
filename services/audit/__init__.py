"""audit: reads the whole log, seals it and answers questions about it. It decides nothing."""
