"""The JSON bodies, queries and answers of the API."""
