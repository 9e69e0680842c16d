"""Propose which versions may be retired, and state why every other version stays. The registry decides."""
