-- What audit keeps permanently: the order of leaves, the tree, the checkpoints. The objects may exist
-- already: the service once created them at start.

-- Which event is which leaf. Truth: transaction ids do not survive a dump, this order does.
CREATE TABLE IF NOT EXISTS audit.sealed (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    seq        bigint NOT NULL UNIQUE,
    service    text   NOT NULL,
    stream     text   NOT NULL,
    revision   bigint NOT NULL,
    event_id   uuid   NOT NULL UNIQUE,
    leaf       bytea  NOT NULL CHECK (length(leaf) = 32),
    UNIQUE (service, stream, revision)
);

-- The tree's right edge and the cursor up to which it is sealed; the origin names this log permanently.
CREATE TABLE IF NOT EXISTS audit.tree (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    origin   text    NOT NULL,
    size     bigint  NOT NULL DEFAULT 0,
    edge     bytea   NOT NULL DEFAULT '',
    tx       bigint  NOT NULL DEFAULT 0,
    seq      bigint  NOT NULL DEFAULT 0
);
INSERT INTO audit.tree (origin) VALUES ('regista.log/' || replace(gen_random_uuid()::text, '-', '')) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS audit.checkpoints (
    size      bigint      PRIMARY KEY,
    root      bytea       NOT NULL CHECK (length(root) = 32),
    note      text        NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'What is sealed stays as it is: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.sealed FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
