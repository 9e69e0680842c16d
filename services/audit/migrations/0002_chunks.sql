-- Which leaves each exported file holds. A chunk is planned before its file is written: a replica that
-- continues after a crash writes the same leaves again.
CREATE TABLE IF NOT EXISTS audit.chunks (
    first       bigint      PRIMARY KEY CHECK (first >= 0),
    last        bigint      NOT NULL UNIQUE CHECK (last >= first),
    checkpoint  bigint      NOT NULL CHECK (checkpoint > last),
    planned_at  timestamptz NOT NULL DEFAULT now(),
    manifest    bytea,
    exported_at timestamptz,
    CHECK ((manifest IS NULL) = (exported_at IS NULL))
);
CREATE INDEX IF NOT EXISTS chunks_waiting ON audit.chunks (first) WHERE manifest IS NULL;

-- A plan is filled in once. Files are never written again under other leaves, so it is never taken back.
CREATE OR REPLACE FUNCTION audit.fill_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.manifest IS NOT NULL OR (OLD.first, OLD.last, OLD.checkpoint, OLD.planned_at) IS DISTINCT FROM (NEW.first, NEW.last, NEW.checkpoint, NEW.planned_at) THEN
        RAISE EXCEPTION 'What is exported stays as it is: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER fill_once BEFORE UPDATE ON audit.chunks FOR EACH ROW EXECUTE FUNCTION audit.fill_once();
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit.chunks FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
