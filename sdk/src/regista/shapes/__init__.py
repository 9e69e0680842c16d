"""Shapes of requests and answers: typed dictionaries, one module for each service."""
