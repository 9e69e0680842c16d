"""The registry: names, versions, stages, rollouts, retirement; and the identities that act on them."""
