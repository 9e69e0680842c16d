"""The kernel: the event log, the path every command takes, and the edges (Kafka, HTTP).

It names no business word.
"""
