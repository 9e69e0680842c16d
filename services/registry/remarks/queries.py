"""What the API reads of notes and corrections."""

from __future__ import annotations

MOST_SHOWN = 50
"""The number of corrections that the answer about one version shows: the newest ones."""

_NEWEST_NOTES = """
SELECT n.note, n.text, n.by, n.revision,
    CASE WHEN n.revision > first.revision THEN n.at END AS corrected_at, first.at
FROM notes n CROSS JOIN LATERAL (
    SELECT x.revision, x.at FROM notes x
    WHERE x.model_id = n.model_id AND x.number = n.number AND x.note = n.note ORDER BY x.revision LIMIT 1
) AS first
WHERE n.model_id = {model_id} AND n.number = {number} AND NOT EXISTS (
    SELECT FROM notes x WHERE x.model_id = n.model_id AND x.number = n.number AND x.note = n.note
        AND x.revision > n.revision)
"""

# The notes and corrections of the version `v`, for the answer about one version.
OF_VERSION = f"""
coalesce((SELECT jsonb_agg(jsonb_build_object('note', n.note, 'text', n.text, 'by', n.by, 'at', n.at,
        'corrected_at', n.corrected_at) ORDER BY n.note)
    FROM ({_NEWEST_NOTES.format(model_id="v.model_id", number="v.number")}) AS n), '[]') AS notes,
coalesce((SELECT jsonb_agg(jsonb_build_object('field', c.field, 'before', c.before, 'after', c.after, 'by',
        c.by, 'at', c.at, 'reason', c.reason) ORDER BY c.revision, c.field)
    FROM (SELECT * FROM corrections x WHERE x.model_id = v.model_id AND x.number = v.number
        ORDER BY x.revision DESC, x.field LIMIT {MOST_SHOWN}) AS c), '[]') AS corrections
"""

# A page of the notes of a version, each with its earlier texts.
LIST_NOTES = f"""
SELECT n.note, n.text, n.by, n.at, n.corrected_at, coalesce((
    SELECT jsonb_agg(jsonb_build_object('text', x.text, 'at', x.at) ORDER BY x.revision) FROM notes x
    WHERE x.model_id = $1 AND x.number = $2 AND x.note = n.note AND x.revision < n.revision), '[]') AS earlier
FROM ({_NEWEST_NOTES.format(model_id="$1", number="$2")}) AS n
WHERE n.note > $3 ORDER BY n.note LIMIT $4
"""
