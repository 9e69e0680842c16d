-- The last day (UTC) on which each service saw a key in use. An event for each use would flood the log. Each service writes
-- rows in its own name only: `service` is its role, and no service may set it.
CREATE TABLE directory.key_use (
    key_id  text NOT NULL,
    service text NOT NULL DEFAULT current_user,
    day     date NOT NULL,
    PRIMARY KEY (key_id, service)
);
ALTER TABLE directory.key_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON directory.key_use FOR SELECT USING (true);
CREATE POLICY own_insert ON directory.key_use FOR INSERT WITH CHECK (service = current_user);
CREATE POLICY own_update ON directory.key_use FOR UPDATE USING (service = current_user);
