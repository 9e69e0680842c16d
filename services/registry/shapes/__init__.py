"""Shapes of HTTP requests and answers, one module for each module of `api/`."""
