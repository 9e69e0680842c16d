"""Identities: the second service of the registry's process. Same rooms as every service, in one folder."""
