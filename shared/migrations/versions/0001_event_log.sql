-- One sequence for all partitions. `seq` alone is no order: values become visible out of order; readers use
-- (tx, seq) behind xmin.
CREATE SEQUENCE log.event_seq;

CREATE TABLE log.events (
    service  text     NOT NULL,
    seq      bigint   NOT NULL DEFAULT nextval('log.event_seq'),
    tx       xid8     NOT NULL DEFAULT pg_current_xact_id(),
    stream   text     NOT NULL CHECK (length(stream) BETWEEN 3 AND 300),
    revision bigint   NOT NULL CHECK (revision > 0),
    event_id uuid     NOT NULL,
    type     text     NOT NULL,
    schema   smallint NOT NULL CHECK (schema > 0),
    bytes    bytea    NOT NULL,
    leaf     bytea    NOT NULL GENERATED ALWAYS AS (sha256('\x00'::bytea || bytes)) STORED,
    PRIMARY KEY (service, stream, revision)
) PARTITION BY LIST (service);

CREATE INDEX events_tx_seq ON log.events (tx, seq);

CREATE FUNCTION log.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The event log is append-only: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON log.events FOR EACH ROW EXECUTE FUNCTION log.refuse();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON log.events FOR EACH STATEMENT EXECUTE FUNCTION log.refuse();

-- The highest transaction id of all partitions, for those who may read one only: a restored server must not
-- give it out again.
CREATE FUNCTION log.highest_tx() RETURNS xid8 LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    'SELECT e.tx FROM log.events e ORDER BY e.tx DESC, e.seq DESC LIMIT 1';
REVOKE ALL ON FUNCTION log.highest_tx() FROM PUBLIC;

-- Adds a partition of the log that `writer` may append to and read. Values of every other column come from
-- defaults only: a writer who could name `tx` could write behind every reader's cursor.
CREATE PROCEDURE log.add_partition(partition_name text, writer text) LANGUAGE plpgsql AS $$
DECLARE
    part text := 'events_' || partition_name;
BEGIN
    IF to_regclass('log.' || part) IS NULL THEN
        EXECUTE format('CREATE TABLE log.%I PARTITION OF log.events FOR VALUES IN (%L)', part, partition_name);
        -- Events stay in their row up to 8 KB, as they are: moved out and compressed, they took twice as long
        -- to append and to read.
        EXECUTE format('ALTER TABLE log.%I SET (toast_tuple_target = 8160)', part);
        EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON log.%I FOR EACH STATEMENT EXECUTE FUNCTION log.refuse()', part);
    END IF;
    EXECUTE format('GRANT SELECT ON log.%I TO %I', part, writer);
    EXECUTE format('GRANT INSERT (service, stream, revision, event_id, type, schema, bytes) ON log.%I TO %I', part, writer);
    EXECUTE format('GRANT USAGE ON SEQUENCE log.event_seq TO %I', writer);
END $$;

-- Adds the schema that `owner_role` owns: its read models, and the kernel's process tables (never truth,
-- never a read model).
CREATE PROCEDURE log.add_schema(schema_name text, owner_role text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', schema_name, owner_role);
    -- What a cause already led to: (verified source, id) -> request digest, and the streams' revisions it
    -- wrote.
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.inbox (source text, id text, digest bytea NOT NULL, outcome bytea NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (source, id))', schema_name);
    -- How far the relay published this partition.
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.relay_checkpoint (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        tx bigint NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL DEFAULT now())', schema_name);
    -- Folded states, disposable: dropped whenever the code that folds them changes.
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.snapshots (stream text PRIMARY KEY, revision bigint NOT NULL, recorded_at timestamptz NOT NULL,
        fold text NOT NULL, state bytea NOT NULL)', schema_name);
    EXECUTE format('ALTER TABLE %I.snapshots ALTER COLUMN state SET STORAGE EXTERNAL', schema_name); -- compressing costs more than it saves
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.due_leases (kind text, key text, leased_until timestamptz NOT NULL, attempts int NOT NULL DEFAULT 0,
        last_error text, PRIMARY KEY (kind, key))', schema_name);
    -- Which generation of read-model tables the views show, the shape it was built with, and the shape
    -- before.
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.generation (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        number bigint NOT NULL, shape text NOT NULL, former text NOT NULL DEFAULT '''', built_at timestamptz NOT NULL DEFAULT now())', schema_name);
    EXECUTE format('ALTER TABLE %I.inbox OWNER TO %I', schema_name, owner_role);
    EXECUTE format('ALTER TABLE %I.relay_checkpoint OWNER TO %I', schema_name, owner_role);
    EXECUTE format('ALTER TABLE %I.snapshots OWNER TO %I', schema_name, owner_role);
    EXECUTE format('ALTER TABLE %I.due_leases OWNER TO %I', schema_name, owner_role);
    EXECUTE format('ALTER TABLE %I.generation OWNER TO %I', schema_name, owner_role);
END $$;
