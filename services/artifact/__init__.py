"""Artifacts: the bytes of model versions, verified before anybody is served, deleted only when nobody refers to them."""
