"""What client, services and auditors share: envelope, signatures, digests, keys, compatibility of signatures.

Pure: no I/O, no clock, no import of a server.
"""
