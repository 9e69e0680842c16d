"""The decisions of this service. Pure: no clock, no I/O."""
