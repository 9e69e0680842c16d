"""Proposes which versions may be retired, and says why every other version stays. The registry decides."""
