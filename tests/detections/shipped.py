"""What the tests of the shipped detections share: samples indexed, made-up flows in a case, and a detection's rows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.store.rows import batch, flow, source
from workbench.detections.question import Question, load_question
from workbench.detections.runner import run_question
from workbench.store.reader import CaseReader
from workbench.store.views import queries_folder
from workbench.store.writer import CaseWriter
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLES = Path(__file__).parents[2] / "sample_captures"
Row = dict[str, Any]


@cache
def detection(name: str) -> Question:
    return load_question(queries_folder() / "detections" / f"{name}.sql")


def names() -> list[str]:
    return sorted(path.stem for path in (queries_folder() / "detections").glob("*.sql"))


def samples() -> list[str]:
    return sorted(path.stem for path in SAMPLES.glob("*.pcapng"))


def truth(sample: str) -> Row:
    told: Row = json.loads((SAMPLES / f"{sample}.json").read_text())
    return told


class Cases:
    """Samples, each indexed into a case of its own when it is first asked for; readers are kept until the tests are over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.readers: dict[str, CaseReader] = {}

    def reader(self, sample: str) -> CaseReader:
        if sample not in self.readers:
            index_sources(IndexRequest((str(SAMPLES / f"{sample}.pcapng"),), self.folder / sample, hash=False))
            self.readers[sample] = CaseReader(self.folder / sample)
        return self.readers[sample]

    def findings(self, name: str, sample: str, **params: Any) -> list[Row]:
        return found(name, self.reader(sample), **params)

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()


def found(name: str, reader: CaseReader, **params: Any) -> list[Row]:
    """A detection's rows, its columns checked by the runner; what every finding must hold is asserted here."""
    rows: list[Row] = run_question(reader, detection(name), params).to_pylist()
    for row in rows:
        assert 0 <= row["score"] <= 1, row
        assert row["ts_first"] <= row["ts_last"]
        assert len(row["flow_ids"]) <= min(1000, max(row["flows"], len(row["flow_ids"])))
        assert row["why"].count("\n") == 0
        assert len(row["why"]) > 20
    return rows


def flows_of(reader: CaseReader, finding: Row) -> list[Row]:
    """The evidence of a finding."""
    rows: list[Row] = reader.query(
        "SELECT * FROM flows WHERE flow_id IN (SELECT unnest($ids)) ORDER BY ts", {"ids": finding["flow_ids"]}
    ).to_pylist()
    assert len(rows) == len(finding["flow_ids"])
    return rows


def case_of(folder: Path, rows: list[Row], arp: list[Row] | None = None) -> CaseReader:
    """A case with these flows (fields of tests.store.rows.flow) and ARP packets."""
    with CaseWriter(folder) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n, **row) for n, row in enumerate(rows)]))
        if arp:
            writer.append("arp", batch("arp", arp))
        writer.update_source(1, state="ok", packets=9 * len(rows), flows=len(rows))
    return CaseReader(folder)


def address(text: str) -> bytes:
    """IPv4, mapped to 16 bytes."""
    return bytes(10) + b"\xff\xff" + bytes(map(int, text.split(".")))


def ends(src: str, dst: str) -> Row:
    """The columns of both addresses."""
    return {"src_ip": src, "src_addr": address(src), "dst_ip": dst, "dst_addr": address(dst)}
