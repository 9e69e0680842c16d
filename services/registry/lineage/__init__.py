"""What versions were made from, and on which data: rows, queries, endpoints."""
