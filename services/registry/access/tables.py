"""The read models of identities: who exists, with which keys and roles.

They are disposable: a rebuild makes them again from the log. Names of people are in the directory, not here.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, MetaData, Table, Text

_access = MetaData()
TIME = DateTime(timezone=True)

IDENTITIES = Table(
    "identities",
    _access,
    Column("subject", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("name_revision", BigInteger, nullable=False),
    Column("name_erased_at", TIME),
    Column("disabled_at", TIME),
)
"""`name_revision` is the revision of the last event about the name.

The name itself is stored in the directory only.
"""

KEYS = Table(
    "identity_keys",
    _access,
    Column("subject", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("issued_at", TIME, nullable=False),
    Column("issued_by", Text, nullable=False),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
    Column("compromised_at", TIME),
    Column("trust", Text, nullable=False),
    Column("issuer", Text, nullable=False),
)
"""`trust` is that by which a job got the key, "" for every other key; `issuer` as in KeyIssued."""

ROLES = Table(
    "identity_roles",
    _access,
    Column("subject", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("namespace", Text, primary_key=True),
    Column("through", Text, primary_key=True),
)
"""`through` is the group through which the subject holds the role, "" for a grant of its own."""

MEMBERS = Table(
    "group_members",
    _access,
    Column("subject", Text, primary_key=True),
    Column("member", Text, primary_key=True),
)
"""`subject` is the group."""

LINKS = Table(
    "identity_links",
    _access,
    Column("subject", Text, primary_key=True),
    Column("other", Text, primary_key=True),
    Column("login", Boolean, primary_key=True),
    Column("linked_at", TIME, nullable=False),
    Column("linked_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""`other` is another identity of the same person, or a login under which the person starts jobs."""

TABLES = (IDENTITIES, KEYS, ROLES, MEMBERS, LINKS)
