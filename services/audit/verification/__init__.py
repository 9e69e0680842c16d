"""Verify the log continuously: what is new since the last verified leaf, and all of it when a full run is requested."""
