"""What versions were made from, and on which data: rows and queries."""
