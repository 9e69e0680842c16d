"""The calls to the services, one module for each subject; `regista.client` puts them together."""
