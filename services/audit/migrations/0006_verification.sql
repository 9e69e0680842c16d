-- A run verifies the log once from its first leaf: in several parts at the same time, then leaf by leaf as
-- the log grows. The newest run that has reached the end of its parts is the one that is shown; runs before
-- it are deleted.
CREATE TABLE IF NOT EXISTS audit.verification_runs (
    run          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);

-- Leaves `first` to `last - 1` (null: as far as the log is sealed); `next` is the first one that is not
-- verified yet. The tree over the leaves before `next` has the right edge `edge`, and the event of the leaf
-- before `next` has the position (tx, seq) in the log.
CREATE TABLE IF NOT EXISTS audit.verification_parts (
    run     bigint NOT NULL REFERENCES audit.verification_runs ON DELETE CASCADE,
    first   bigint NOT NULL,
    last    bigint CHECK (last >= first),
    next    bigint NOT NULL CHECK (next >= first),
    edge    bytea  NOT NULL DEFAULT '',
    tx      bigint NOT NULL DEFAULT 0,
    seq     bigint NOT NULL DEFAULT 0,
    tallies jsonb  NOT NULL DEFAULT '{}',
    PRIMARY KEY (run, first)
);

CREATE TABLE IF NOT EXISTS audit.violations (
    run       bigint NOT NULL REFERENCES audit.verification_runs ON DELETE CASCADE,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    invariant text   NOT NULL,
    violation jsonb  NOT NULL,
    PRIMARY KEY (run, invariant, id)
);

WITH first_run AS (
    INSERT INTO audit.verification_runs (finished_at) SELECT now() WHERE NOT EXISTS (SELECT FROM audit.verification_runs) RETURNING run
)
INSERT INTO audit.verification_parts (run, first, next) SELECT run, 0, 0 FROM first_run;
