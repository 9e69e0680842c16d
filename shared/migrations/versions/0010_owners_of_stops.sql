-- Migration 0008 gave the row to the owner of the database, which finds and withdraws nothing: the log stayed stopped.
-- Only audit wrote the table before.
INSERT INTO log.stopped (part, reason, at)
SELECT 'regista_audit', reason, at FROM log.stopped WHERE part = current_user
ON CONFLICT (part) DO NOTHING;
DELETE FROM log.stopped WHERE part = current_user;
