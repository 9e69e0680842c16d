"""What both sides of the wire share: the envelope, its signature, digests and key formats. Pure: no I/O, no clock, no server import."""
