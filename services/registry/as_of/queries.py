"""Read the events of one model in their order."""

from __future__ import annotations

# A page of the events of a stream, behind a revision.
STREAM = """
SELECT e.revision, e.bytes FROM log.events_registry e
WHERE e.service = 'registry' AND e.stream = $1 AND e.revision > $2 ORDER BY e.revision LIMIT $3
"""

# The newest revision of a stream.
NEWEST = """
SELECT coalesce(max(e.revision), 0) FROM log.events_registry e WHERE e.service = 'registry' AND e.stream = $1
"""

# Some events of a stream, each by one look-up.
SOME = """
SELECT e.bytes FROM unnest($2::bigint[]) AS wanted(revision) CROSS JOIN LATERAL (
    SELECT l.revision, l.bytes FROM log.events_registry l
    WHERE l.service = 'registry' AND l.stream = $1 AND l.revision = wanted.revision LIMIT 1
) AS e ORDER BY e.revision
"""

# The last event before a revision, and the first behind another one, that are of another type.
NEXT = """
(SELECT e.revision FROM log.events_registry e WHERE e.service = 'registry' AND e.stream = $1
    AND e.revision < $2 AND e.type <> $4 ORDER BY e.revision DESC LIMIT 1)
UNION ALL
(SELECT e.revision FROM log.events_registry e WHERE e.service = 'registry' AND e.stream = $1
    AND e.revision > $3 AND e.type <> $4 ORDER BY e.revision LIMIT 1)
"""
