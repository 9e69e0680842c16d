"""What approval decides, pure. Start with deciders.py."""
