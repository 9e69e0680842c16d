-- Spreads a partition of the log over `parts` tables by the hash of the stream (1: one table again). By hash,
-- because the primary key stays the safety net and must hold the column that divides. Copies every event with
-- its tx, seq and bytes; all of it or nothing, and no one reads or appends meanwhile.
CREATE PROCEDURE log.split_partition(partition_name text, parts integer) LANGUAGE plpgsql AS $$
DECLARE
    part   text := 'events_' || partition_name;
    former text := part || '_former';
    child  record;
    given  text[];
    giving text;
    leaf   text;
    kept   text;
BEGIN
    IF to_regclass(format('log.%I', part)) IS NULL OR parts NOT BETWEEN 1 AND 64 THEN
        RAISE EXCEPTION 'no partition % of the log can be split into %: name one that is there, and 1 to 64 parts', partition_name, parts
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE log.events IN ACCESS EXCLUSIVE MODE;
    IF parts = (SELECT greatest(count(*), 1) FROM pg_inherits WHERE inhparent = format('log.%I', part)::regclass) THEN
        RETURN;
    END IF;
    SELECT array_agg(format('GRANT %s%s ON log.%I TO %s', g.privilege, g.columns, part, g.grantee)) INTO given FROM (
        SELECT x.privilege_type AS privilege, '' AS columns, x.grantee::regrole AS grantee
        FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = format('log.%I', part)::regclass AND x.grantee <> c.relowner
        UNION ALL
        SELECT x.privilege_type, format(' (%I)', a.attname), x.grantee::regrole
        FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = format('log.%I', part)::regclass
    ) AS g;
    SELECT array_to_string(reloptions, ', ') INTO kept FROM pg_class
    WHERE oid IN (SELECT relid FROM pg_partition_tree(format('log.%I', part)::regclass) WHERE isleaf) LIMIT 1;

    EXECUTE format('ALTER TABLE log.events DETACH PARTITION log.%I', part);
    FOR child IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = format('log.%I', part)::regclass LOOP
        EXECUTE format('ALTER TABLE log.%I RENAME TO %I', child.relname, child.relname || '_former');
    END LOOP;
    EXECUTE format('ALTER TABLE log.%I RENAME TO %I', part, former);

    IF parts = 1 THEN
        EXECUTE format('CREATE TABLE log.%I PARTITION OF log.events FOR VALUES IN (%L)', part, partition_name);
    ELSE
        EXECUTE format('CREATE TABLE log.%I PARTITION OF log.events FOR VALUES IN (%L) PARTITION BY HASH (stream)', part, partition_name);
        FOR n IN 0 .. parts - 1 LOOP
            EXECUTE format('CREATE TABLE log.%I PARTITION OF log.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s)', part || '_' || n, part, parts, n);
            EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON log.%I FOR EACH STATEMENT EXECUTE FUNCTION log.refuse()', part || '_' || n);
        END LOOP;
    END IF;
    EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON log.%I FOR EACH STATEMENT EXECUTE FUNCTION log.refuse()', part);
    FOR leaf IN SELECT relid::regclass FROM pg_partition_tree(format('log.%I', part)::regclass) WHERE isleaf AND kept IS NOT NULL LOOP
        EXECUTE format('ALTER TABLE %s SET (%s)', leaf, kept);
    END LOOP;
    -- No role gets a grant on the tables themselves: a role that may use the partition reaches them through
    -- it.
    FOREACH giving IN ARRAY coalesce(given, '{}') LOOP
        EXECUTE giving;
    END LOOP;

    EXECUTE format('INSERT INTO log.%I (service, seq, tx, stream, revision, event_id, type, schema, bytes)
        SELECT service, seq, tx, stream, revision, event_id, type, schema, bytes FROM log.%I ORDER BY tx, seq', part, former);
    EXECUTE format('DO $check$ BEGIN
        IF EXISTS (SELECT FROM log.%I a FULL JOIN log.%I b USING (service, stream, revision)
            WHERE (a.seq, a.tx, a.event_id, a.type, a.schema, a.bytes, a.leaf) IS DISTINCT FROM (b.seq, b.tx, b.event_id, b.type, b.schema, b.bytes, b.leaf))
        THEN RAISE EXCEPTION ''the copy differs from the log: nothing was changed''; END IF; END $check$', part, former);
    EXECUTE format('DROP TABLE log.%I', former);
    EXECUTE format('ANALYZE log.%I', part);
END $$;
REVOKE ALL ON PROCEDURE log.split_partition(text, integer) FROM PUBLIC;
