-- The owner of the database runs this after audit's migrations, every time. The seals are the owner's: audit's own
-- role can add to them, and can neither change them, nor disable their triggers, nor drop them.
DO $$
BEGIN
    EXECUTE format('ALTER SCHEMA audit OWNER TO %I', current_user);
    EXECUTE format('ALTER TABLE audit.sealed OWNER TO %I', current_user);
    EXECUTE format('ALTER TABLE audit.checkpoints OWNER TO %I', current_user);
    EXECUTE format('ALTER TABLE audit.tree OWNER TO %I', current_user);
    EXECUTE format('ALTER TABLE audit.chunks OWNER TO %I', current_user);
    EXECUTE format('ALTER FUNCTION audit.refuse() OWNER TO %I', current_user);
    EXECUTE format('ALTER FUNCTION audit.fill_once() OWNER TO %I', current_user);
END $$;
GRANT USAGE, CREATE ON SCHEMA audit TO regista_audit;
REVOKE ALL ON audit.sealed, audit.checkpoints, audit.tree, audit.chunks FROM regista_audit;
GRANT SELECT, INSERT ON audit.sealed, audit.checkpoints, audit.chunks TO regista_audit;
GRANT UPDATE (manifest, exported_at) ON audit.chunks TO regista_audit;
GRANT SELECT, UPDATE (size, edge, tx, seq, tiled) ON audit.tree TO regista_audit;
GRANT EXECUTE ON FUNCTION audit.refuse(), audit.fill_once() TO regista_audit;

-- The tree only grows. Tiles are derived: `tiled` may begin again.
CREATE OR REPLACE FUNCTION audit.only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size OR (NEW.tx, NEW.seq) < (OLD.tx, OLD.seq) OR (NEW.size = OLD.size AND NEW.edge <> OLD.edge) THEN
        RAISE EXCEPTION 'The tree only grows: % of % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER only_grows BEFORE UPDATE ON audit.tree FOR EACH ROW EXECUTE FUNCTION audit.only_grows();
CREATE OR REPLACE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit.tree FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
