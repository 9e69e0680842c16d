"""What the registry decides. Pure: no clock, no database, no network."""
