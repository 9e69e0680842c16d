"""The services. Each decides from its own streams; none imports another."""
