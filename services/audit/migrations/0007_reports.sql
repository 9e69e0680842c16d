-- What reports over all models look up. The service fills both tables with the rest of the index.
-- Promotions, denials and overrides (`kind`), each with its model.
DROP TABLE IF EXISTS audit.decisions, audit.acts;
CREATE TABLE audit.decisions (
    generation  integer     NOT NULL,
    kind        text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    tx          bigint      NOT NULL,
    seq         bigint      NOT NULL,
    model_id    text        NOT NULL,
    PRIMARY KEY (generation, kind, recorded_at, tx, seq)
);
CREATE INDEX decisions_model ON audit.decisions (generation, kind, model_id, recorded_at, tx, seq);

-- What an identity did itself, or another one did on its behalf. Services have no acts of their own.
CREATE TABLE audit.acts (
    generation  integer     NOT NULL,
    subject     text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    tx          bigint      NOT NULL,
    seq         bigint      NOT NULL,
    PRIMARY KEY (generation, subject, recorded_at, tx, seq)
);

-- `note`: the event is a copy of another service's event. Most timelines leave these out.
DROP TABLE audit.mentions;
CREATE TABLE audit.mentions (
    generation integer NOT NULL,
    model_id   uuid    NOT NULL,
    number     bigint  NOT NULL,
    note       boolean NOT NULL,
    tx         bigint  NOT NULL,
    seq        bigint  NOT NULL,
    PRIMARY KEY (generation, model_id, number, note, tx, seq)
);

UPDATE audit.index_state SET reading = 0;
