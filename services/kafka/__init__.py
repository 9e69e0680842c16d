"""What Regista needs of a Kafka cluster, as data; compared with a cluster, applied, or written as files."""
