-- The newest grants, overrides and after-reviews, which the invariants list.
CREATE INDEX event_index_people ON audit.event_index (type, tx, seq)
    WHERE type IN ('PromotionGranted', 'OverrideUsed', 'OverrideReviewed');
