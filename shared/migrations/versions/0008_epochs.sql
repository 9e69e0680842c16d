-- Every service may stop the others: it finds the log behind its own topic. A row is its service's own.
ALTER TABLE log.stopped DROP COLUMN only_row;
ALTER TABLE log.stopped ADD COLUMN part text PRIMARY KEY DEFAULT current_user;
ALTER TABLE log.stopped ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_read ON log.stopped FOR SELECT USING (true);
CREATE POLICY own_is_added ON log.stopped FOR INSERT WITH CHECK (part = current_user);
CREATE POLICY own_is_changed ON log.stopped FOR UPDATE USING (part = current_user);
CREATE POLICY own_is_deleted ON log.stopped FOR DELETE USING (part = current_user);

-- Every restore that was accepted begins an epoch of the log. `accepted` is where each topic ended then: what was
-- published before may name events that the restored log does not have.
CREATE TABLE log.epochs (
    epoch       integer     PRIMARY KEY CHECK (epoch BETWEEN 1 AND 32767),
    reason      text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    begun_at    timestamptz NOT NULL DEFAULT now(),
    begun_by    text        NOT NULL DEFAULT session_user,
    highest_tx  xid8,
    accepted    jsonb       NOT NULL DEFAULT '{}'
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.epochs FOR EACH STATEMENT EXECUTE FUNCTION log.refuse();

-- The place of a transaction in the order of the log: (epoch, tx) in one number, the epoch in the highest 16 bits. A
-- server's own transaction ids begin again after a dump is restored. `begin_epoch` replaces the body: a constant is
-- inlined, so neither an append nor a reader looks anything up.
CREATE FUNCTION log.placed(id xid8) RETURNS xid8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT id';
ALTER TABLE log.events ALTER COLUMN tx SET DEFAULT log.placed(pg_current_xact_id());

-- Begins the next epoch: what is appended from now on is above all that the log has, whatever transaction ids the
-- server gives. The lock waits for transactions that append.
CREATE PROCEDURE log.begin_epoch(reason text, accepted jsonb) LANGUAGE plpgsql AS $$
DECLARE
    highest xid8;
    next    integer;
    former  jsonb;
BEGIN
    LOCK TABLE log.events IN ACCESS EXCLUSIVE MODE;
    highest := log.highest_tx();
    SELECT 1 + greatest(coalesce(max(e.epoch), 0), coalesce(highest::text::bigint, 0) >> 48) INTO next FROM log.epochs e;
    -- What was given up before stays given up.
    SELECT e.accepted INTO former FROM log.epochs e ORDER BY e.epoch DESC LIMIT 1;
    INSERT INTO log.epochs (epoch, reason, highest_tx, accepted)
    VALUES (next, begin_epoch.reason, highest, coalesce(former, '{}') || begin_epoch.accepted);
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION log.placed(id xid8) RETURNS xid8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
        ''SELECT (id::text::bigint + %s)::text::xid8''', next::bigint << 48);
END $$;
REVOKE ALL ON PROCEDURE log.begin_epoch(text, jsonb) FROM PUBLIC;
