"""What `regista status` shows of the services' measurements, and how old it is."""

from __future__ import annotations

from services.local.amounts import _read
from services.local.status_table import _amounts

METRICS = """\
# TYPE regista_database_bytes gauge
regista_database_bytes{part="log"} 2048.0
regista_database_bytes{part="registry"} NaN
# TYPE regista_measured_at_seconds gauge
regista_measured_at_seconds 1.7e9
"""


def test_measured_values_come_with_the_time_of_the_measurement() -> None:
    found = _read(METRICS, {"regista_database_bytes": "database_bytes"})
    assert found == ({"database_bytes": {"log": 2048.0}}, 1.7e9)


def test_the_table_states_how_old_each_is() -> None:
    table = _amounts(
        {"disk_bytes": {"free": 1.0}, "versions": {}, "reviews": {}}, {"disk_bytes": 0, "versions": 42}
    )
    assert list(table.columns[2].cells) == ["now", "42 s ago", ""]
