"""What both sides of the wire share: the envelope, its signature, digests, key formats, and when a model's callers notice a change. Pure: no I/O, no clock, no server import."""
