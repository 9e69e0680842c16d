"""What all commands share: the session, options, values that they read, and how they print."""
