"""Act in a CI job without a stored secret: exchange the token of the job for a short-lived API key."""
