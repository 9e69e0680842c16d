"""What this service decides. Pure: no clock, no I/O."""
