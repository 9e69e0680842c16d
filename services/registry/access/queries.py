"""What the API reads of identities. Names come from the directory."""

from __future__ import annotations

_IDENTITY = """
SELECT i.subject, i.kind, coalesce(n.name, '') AS name, i.name_erased_at, i.created_at, i.created_by,
    i.disabled_at,
    coalesce((SELECT jsonb_agg(jsonb_build_object('key_id', k.key_id, 'algorithm', k.algorithm,
            'issued_at', k.issued_at, 'issued_by', k.issued_by,
            'issued_by_another', k.issued_by <> k.subject, 'expires_at', k.expires_at,
            'revoked_at', least(k.revoked_at, k.compromised_at),
            'compromised', k.compromised_at IS NOT NULL, 'with_groups', k.issuer <> '',
            'last_used', (SELECT max(u.day) FROM directory.key_use u WHERE u.key_id = k.key_id))
            ORDER BY k.issued_at, k.key_id)
        FROM identity_keys k WHERE k.subject = i.subject AND k.trust = ''), '[]') AS keys,
    coalesce((SELECT jsonb_agg(jsonb_build_object('role', r.role, 'namespace', r.namespace,
            'group', r.through) ORDER BY r.role, r.namespace, r.through)
        FROM identity_roles r WHERE r.subject = i.subject), '[]') AS roles,
    coalesce((SELECT jsonb_agg(m.member ORDER BY m.member)
        FROM group_members m WHERE m.subject = i.subject), '[]') AS members,
    coalesce((SELECT jsonb_agg(jsonb_build_object('other', l.other, 'login', l.login,
            'linked_at', l.linked_at, 'linked_by', l.linked_by) ORDER BY l.login, l.other)
        FROM identity_links l WHERE l.subject = i.subject), '[]') AS links
FROM identities i LEFT JOIN directory.names n USING (subject)
"""
IDENTITIES = _IDENTITY + "WHERE i.subject > $1 ORDER BY i.subject LIMIT $2"
IDENTITY = _IDENTITY + "WHERE i.subject = $1"

# The identities whose subject is this text in lower case: subjects are ASCII.
CALLED = "SELECT subject FROM identities WHERE lower(subject) = $1 ORDER BY subject"

# A page of all links, each once: two identities have a row for each of them.
LINKS = """
SELECT l.subject, l.other, l.login, l.linked_at, l.linked_by, l.reason FROM identity_links l
WHERE (l.subject, l.other, l.login) > ($1, $2, $3) AND (l.login OR l.subject < l.other)
    AND NOT starts_with(l.subject, 'login:')
ORDER BY l.subject, l.other, l.login LIMIT $4
"""

# The namespaces that have models.
NAMESPACES = "SELECT DISTINCT namespace FROM models WHERE namespace <> ''"

MEMBERS = "SELECT member FROM group_members WHERE subject = $1"

# The revision of the last event about a name, and whether that event erased it.
NAME_EVENT = "SELECT name_revision, name_erased_at FROM identities WHERE subject = $1"

# Subjects whose name the log has erased and the directory still has.
NOT_YET_ERASED = """
SELECT i.subject, i.name_revision FROM identities i JOIN directory.names n USING (subject)
WHERE i.name_erased_at IS NOT NULL AND n.revision < i.name_revision
"""
