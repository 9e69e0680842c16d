-- The index for timelines is disposable: the service fills it from the log. A rebuild fills a new generation
-- beside the one that is shown. The service empties the index and reads the log again when `reading` is not
-- READING of index_writer.py. A later migration that changes the tables ends with: UPDATE audit.index_state SET
-- reading = 0.
DROP TABLE IF EXISTS audit.index_state, audit.history, audit.mentions, audit.names;

CREATE TABLE audit.index_state (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    generation integer NOT NULL DEFAULT 1,
    reading    integer NOT NULL DEFAULT 0,
    tx         bigint  NOT NULL DEFAULT 0,
    seq        bigint  NOT NULL DEFAULT 0
);
INSERT INTO audit.index_state DEFAULT VALUES;

CREATE TABLE audit.history (
    generation     integer     NOT NULL,
    tx             bigint      NOT NULL,
    seq            bigint      NOT NULL,
    service        text        NOT NULL,
    stream         text        NOT NULL,
    revision       bigint      NOT NULL,
    event_id       text        NOT NULL,
    type           text        NOT NULL,
    schema         smallint    NOT NULL,
    recorded_at    timestamptz NOT NULL,
    occurred_at    timestamptz,
    actor          text        NOT NULL,
    method         text        NOT NULL,
    on_behalf_of   text,
    reason         text        NOT NULL,
    correlation_id text        NOT NULL,
    causation_id   text        NOT NULL,
    trace          text        NOT NULL,
    number         bigint,
    environment    text,
    promotion_id   text,
    PRIMARY KEY (generation, tx, seq)
);
CREATE UNIQUE INDEX history_event ON audit.history (generation, event_id);
CREATE INDEX history_stream ON audit.history (generation, stream, revision);
CREATE INDEX history_stream_type ON audit.history (generation, stream, type, revision);
CREATE INDEX history_type ON audit.history (generation, type, tx, seq);
CREATE INDEX history_correlation ON audit.history (generation, correlation_id, tx, seq);
CREATE INDEX history_promotion ON audit.history (generation, promotion_id, tx, seq) WHERE promotion_id IS NOT NULL;

-- Which event names which model, and of which versions of it.
CREATE TABLE audit.mentions (
    generation integer NOT NULL,
    model_id   text    NOT NULL,
    tx         bigint  NOT NULL,
    seq        bigint  NOT NULL,
    numbers    bigint[] NOT NULL,
    PRIMARY KEY (generation, model_id, tx, seq)
);
CREATE INDEX mentions_event ON audit.mentions (generation, tx, seq);

-- Every name that a model ever had, with the last event that called it so.
CREATE TABLE audit.names (
    generation integer NOT NULL,
    name       text    NOT NULL,
    model_id   text    NOT NULL,
    tx         bigint  NOT NULL,
    seq        bigint  NOT NULL,
    PRIMARY KEY (generation, name, model_id)
);
CREATE INDEX names_model ON audit.names (generation, model_id, tx, seq);
