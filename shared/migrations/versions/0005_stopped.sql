-- A row while audit finds that this log contradicts a published log checkpoint: it was restored to an older copy, replaced or
-- rewritten. Services that append stop, and do not start, while it is there. audit writes it, all read it.
CREATE TABLE log.stopped (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    reason   text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
);
