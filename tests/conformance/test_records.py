"""Hubble's samples and Argus's flows of the shared set: as many lines as are published (docs/records.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.captures import folder
from workbench.store.reader import CaseReader
from workbench.workflows.import_logs import import_logs
from workbench.workflows.requests import IndexRequest

pytestmark = pytest.mark.conformance

#: File, format, lines published, and rows: flows, packets, claims, dns, http, lines that are no flow.
PUBLISHED = [
    ("hubble/basic-sample-10-flows.json", "hubble", 10, (5, 10, 6, 0, 0, 0)),
    ("hubble/basic-sample-400-icmpv4-flows.json", "hubble", 18, (3, 18, 0, 0, 0, 0)),
    ("hubble/basic-sample-5-dns-flows.json", "hubble", 5, (1, 0, 2, 5, 0, 0)),
    ("hubble/basic-sample-5-http-flows.json", "hubble", 5, (4, 0, 4, 0, 5, 0)),
    ("slips/test4-malicious.binetflow", "binetflow", 394, (392, 1180, 0, 0, 0, 2)),
]


@pytest.mark.parametrize(("name", "form", "published", "expected"), PUBLISHED)
def test_every_published_record_is_read(tmp_path: Path, name: str, form: str, published: int, expected: tuple[int, ...]) -> None:
    file = folder() / "logs" / name
    result = import_logs(IndexRequest((str(file),), tmp_path / "case", form=form))
    told = {line["reason"]: line["count"] for line in result.ledger}
    assert told["lines_read"] == published
    assert told.keys() <= {"lines_read", "records_merged", "observed_twice", "not_a_flow"}
    with CaseReader(tmp_path / "case") as reader:
        counts = [len(reader.query(f"SELECT 1 FROM {table}")) for table in ("flows", "claims", "dns", "http")]
        packets = sum(row["n"] for row in reader.query("SELECT CAST(src_pkts + dst_pkts AS BIGINT) AS n FROM flows").to_pylist())
    assert (counts[0], packets, *counts[1:], told.get("not_a_flow", 0)) == expected
