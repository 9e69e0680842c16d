-- The tree as tiles (c2sp.org/tlog-tiles, height 8): hashes of 32 bytes, one after the other. Derived from
-- audit.sealed. To compute all of them again: TRUNCATE audit.tiles; UPDATE audit.tree SET tiled = 0.
CREATE TABLE IF NOT EXISTS audit.tiles (
    level  smallint NOT NULL CHECK (level >= 0),
    index  bigint   NOT NULL CHECK (index >= 0),
    hashes bytea    NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    PRIMARY KEY (level, index)
);
ALTER TABLE audit.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not compress

-- How many leaves the tiles hold: all, once the leader has filled in those that were sealed before there were
-- tiles.
ALTER TABLE audit.tree ADD COLUMN IF NOT EXISTS tiled bigint NOT NULL DEFAULT 0;

-- `seq` is unique over all partitions of the log: it alone keeps an event from being sealed twice, and finds
-- the leaf of an event.
ALTER TABLE audit.sealed DROP CONSTRAINT IF EXISTS sealed_event_id_key, DROP CONSTRAINT IF EXISTS sealed_service_stream_revision_key;
