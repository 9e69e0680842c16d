CREATE SCHEMA messaging;

-- Signed messages that must reach their readers while Kafka is unavailable. A service adds and removes its own,
-- and reads all. What reads them checks the signature, as if they came from Kafka.
CREATE TABLE messaging.urgent (
    service text    NOT NULL,
    tx      bigint  NOT NULL,
    seq     bigint  NOT NULL,
    key     bytea,
    headers text[]  NOT NULL,
    texts   bytea[] NOT NULL,
    value   bytea   NOT NULL,
    PRIMARY KEY (service, tx, seq)
);
ALTER TABLE messaging.urgent ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_read ON messaging.urgent FOR SELECT USING (true);
CREATE POLICY own_added ON messaging.urgent FOR INSERT WITH CHECK (current_user = 'regista_' || service);
CREATE POLICY own_removed ON messaging.urgent FOR DELETE USING (current_user = 'regista_' || service);
