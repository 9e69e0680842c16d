"""The bytes of model versions: verified before they are served, deleted when no version refers to them."""
