"""Keeps other registries in step with what Regista decides."""
