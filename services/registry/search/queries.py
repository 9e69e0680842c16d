"""Queries of measurements and of versions by what they are."""

from __future__ import annotations

# The primary metric of the version `v`, as approval decides it: the metric that is marked primary, or the
# only one. Of its values the newest independent one is shown, else the newest claim.
PRIMARY_METRIC = """
LEFT JOIN LATERAL (
    SELECT jsonb_build_object('name', m.name, 'value', m.value, 'dataset_name', m.dataset_name,
        'dataset_digest', m.dataset_digest, 'higher_is_better', m.higher_is_better,
        'independent', m.independent) AS primary_metric
    FROM measurements m
    WHERE m.model_id = v.model_id AND m.number = v.number AND m.name = (
        SELECT CASE WHEN count(DISTINCT x.name) FILTER (WHERE x.primary_metric) = 1
                THEN min(x.name) FILTER (WHERE x.primary_metric)
            WHEN NOT bool_or(x.primary_metric) AND count(DISTINCT x.name) = 1 THEN min(x.name) END
        FROM measurements x WHERE x.model_id = v.model_id AND x.number = v.number)
    ORDER BY m.independent DESC, m.revision DESC, m.dataset_digest, m.definition LIMIT 1
) AS best ON true
"""
