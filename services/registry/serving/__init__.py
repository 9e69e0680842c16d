"""Rooms of what serves where: rows and queries of environments, rollouts, promotions and aliases."""
