"""Send the public events over HTTP: what the services publish to Kafka, to callers who may read it."""
