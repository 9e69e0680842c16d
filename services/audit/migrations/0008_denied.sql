-- Denied attempts by time, of all and of one subject. Few events are of this type.
CREATE INDEX event_index_denied ON audit.event_index (tx, seq) WHERE type = 'AttemptsDenied';
