-- Whether one of the namespaces contains the dotted name, at any depth. NULL means every namespace. The same
-- rule in Python: `covers` in shared/deciding/access.py. No namespace contains a line break. STABLE and
-- without a sub-select, so that the planner writes the expression into the query instead of calling it.
CREATE FUNCTION log.covers(namespaces text[], name text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN namespaces IS NULL
        OR name ^@ ANY (string_to_array(array_to_string(namespaces, E'.\n') || '.', E'\n'));
REVOKE ALL ON FUNCTION log.covers(text[], text) FROM PUBLIC;
