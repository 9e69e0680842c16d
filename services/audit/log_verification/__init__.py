"""Verify the log: continuously what is new, and all of it on request."""
