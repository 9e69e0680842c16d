"""What people say about versions: rows and queries of descriptions, tags, notes and corrections."""
