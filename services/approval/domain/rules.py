"""The number of the rules by which people count as approvers. Each grant states it.

An auditor judges a grant by the rules of its time: a later rule does not make an earlier grant wrong. Raise
the number with a rule that decides otherwise than before, and teach the auditor both
(`services/audit/domain/independence.py`).

1: whom a maker or the requester created, keyed or granted does not count; two approvers of whom one keyed the
other count as one.
2: the same through others, at any distance.
3: linked identities and logins are one person, in every rule.
4: identities that share a login are one person, too, and each approval counts the earlier ones again.
"""

RULES = 4
