"""What an auditor downloads: a report as CSV without formulas, and with proofs that verify offline."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pytest

from regista.kept_checkpoints import verify_proof
from tests.ui.conftest import Site, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def test_a_report_is_csv_with_every_promotion(site: Site) -> None:
    with site.signed_in("ann") as ann:
        answer = ann.get("/history/report.csv?what=promotions&model=fraud.scoring")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="promotions.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    first = next(row for row in rows if row["version"] == "1")
    assert (first["model"], first["environment"], first["requested by"]) == (
        "fraud.scoring",
        "production",
        "Ann Example",
    )
    assert set(first["approved by"].split("; ")) == {"Bob Example", "Eve Example"}


def test_no_cell_of_a_report_is_a_formula(site: Site) -> None:
    formula = '=HYPERLINK("https://evil.example","open")'
    with site.client("ann") as client:
        client.place_legal_hold("fraud.scoring@3", formula)
    with site.signed_in("ann") as ann:
        text = until(
            lambda: (
                formula.replace('"', '""')
                in (found := ann.get("/history/report.csv?what=timeline&model=fraud.scoring").text)
                and found
            )
        )
    cells = [cell for row in csv.reader(io.StringIO(str(text))) for cell in row]
    assert f"'{formula}" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]


def test_a_bundle_proves_its_entries_without_a_service(site: Site) -> None:
    with site.signed_in("ann") as ann:
        answer = ann.get("/history/bundle.zip?what=promotions&model=fraud.scoring")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        proofs = [json.loads(files.read(n)) for n in files.namelist() if n.startswith("proofs/")]
        assert proofs[0]["verifier_key"] in files.read("README.txt").decode()
    proven = [verify_proof(proof, proof["verifier_key"]) for proof in proofs]
    assert "VersionPromoted" in {one["type"] for one in proven}


def test_a_download_that_cannot_be_made_states_why(site: Site) -> None:
    with site.signed_in("ann") as ann:
        answer = ann.get("/history/report.csv?what=timeline")
        assert answer.status_code == 422
        assert "Name the model." in answer.text
    with site.signed_in("bob") as bob:
        assert bob.get("/history/report.csv?what=promotions").status_code == 403
