"""`regista up`: every server and every service on one machine, without Docker."""
