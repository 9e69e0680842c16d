-- `folded` is the name as names are compared, so that people are found by it. `salt` and `erased` keep the
-- digests of names that were erased (shared/identity/directory.py): the makers of a version are
-- still recognised, and the names are not stored.
ALTER TABLE directory.names
    ADD COLUMN folded text,
    ADD COLUMN salt   bytea NOT NULL DEFAULT decode(replace(gen_random_uuid()::text, '-', ''), 'hex'),
    ADD COLUMN erased text[] NOT NULL DEFAULT '{}';
CREATE INDEX names_by_folded ON directory.names (folded) WHERE folded IS NOT NULL;
