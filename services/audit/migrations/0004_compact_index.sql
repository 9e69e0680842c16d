-- The index finds events; what is shown of an event is read from its stored bytes. Fewer columns and indexes:
-- each costs every event.
DROP TABLE IF EXISTS audit.history, audit.event_index, audit.mentions, audit.shared_streams, audit.names;

CREATE TABLE audit.event_index (
    generation     integer     NOT NULL,
    tx             bigint      NOT NULL,
    seq            bigint      NOT NULL,
    service        text        NOT NULL,
    stream         text        NOT NULL,
    revision       bigint      NOT NULL,
    event_id       uuid        NOT NULL,
    type           text        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    correlation_id text        NOT NULL,
    number         bigint,
    environment    text,
    promotion_id   text,
    PRIMARY KEY (generation, tx, seq)
);
-- Without the generation: there is a second one only while the index is rebuilt.
CREATE INDEX event_index_event ON audit.event_index (event_id);
CREATE INDEX event_index_correlation ON audit.event_index (correlation_id, tx, seq);
CREATE INDEX event_index_promotion ON audit.event_index (promotion_id, tx, seq) WHERE promotion_id IS NOT NULL;
-- What as-of looks up: what serves in an environment, and how a version was registered and promoted.
CREATE INDEX event_index_serving ON audit.event_index (stream, environment, revision, recorded_at)
    WHERE type IN ('RolloutChanged', 'RolledBack');
CREATE INDEX event_index_version ON audit.event_index (stream, number, revision, recorded_at)
    WHERE type IN ('VersionRegistered', 'MetadataAdded', 'VersionPromoted');

-- Which event concerns which model (number 0: each event of the model) and which version of it.
CREATE TABLE audit.mentions (
    generation integer NOT NULL,
    model_id   uuid    NOT NULL,
    number     bigint  NOT NULL,
    tx         bigint  NOT NULL,
    seq        bigint  NOT NULL,
    PRIMARY KEY (generation, model_id, number, tx, seq)
);

-- Models and versions (number 0: the model) that the events of a shared stream named so far.
CREATE TABLE audit.shared_streams (
    generation integer NOT NULL,
    stream     text    NOT NULL,
    model_id   uuid    NOT NULL,
    number     bigint  NOT NULL,
    PRIMARY KEY (generation, stream, model_id, number)
);

-- Every name that a model ever had, with the last event that used it.
CREATE TABLE audit.names (
    generation integer NOT NULL,
    name       text    NOT NULL,
    model_id   text    NOT NULL,
    tx         bigint  NOT NULL,
    seq        bigint  NOT NULL,
    PRIMARY KEY (generation, name, model_id)
) WITH (fillfactor = 70);
CREATE INDEX names_model ON audit.names (generation, model_id);

UPDATE audit.index_state SET reading = 0;
