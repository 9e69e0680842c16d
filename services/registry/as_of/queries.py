"""Read the events of one model in their order."""

from __future__ import annotations

# A page of the events of a stream, behind a revision.
STREAM = """
SELECT e.revision, e.bytes FROM log.events_registry e
WHERE e.service = 'registry' AND e.stream = $1 AND e.revision > $2 ORDER BY e.revision LIMIT $3
"""
