-- What changes what may be served, by whom and by which rules: the moments that a slider over the log shows.
CREATE INDEX event_index_moments ON audit.event_index (recorded_at)
    WHERE type IN ('VersionPromoted', 'RolloutChanged', 'RolledBack', 'VersionRecalled', 'VersionReinstated',
        'PromotionDenied', 'OverrideUsed', 'PolicyPublished', 'RoleGranted', 'RoleRevoked', 'IdentityDisabled',
        'IdentityEnabled', 'IdentityLinked', 'IdentityUnlinked', 'IssuerTrusted', 'IssuerDistrusted',
        'GroupMapped', 'GroupUnmapped');
