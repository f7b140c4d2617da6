"""What the detections say of every capture of the shared set: ``python -m tests.conformance.detections [DETECTION...]``.

Prints each finding, then a line for each detection: on how many captures it could fire (there is a row in a table that it asks),
and on how many it did. docs/detections.md holds what came of it, judged by hand. Takes some minutes; no part of the suite.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.conformance.captures import captures, folder
from workbench.detections.question import Question, load_question
from workbench.detections.runner import run_question
from workbench.errors import WorkbenchError
from workbench.records.columns import TABLES
from workbench.records.visible import visible
from workbench.store.reader import CaseReader
from workbench.store.views import queries_folder
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

WANTED = [
    "remote-service",
    "remote-task",
    "dcsync",
    "zerologon",
    "kerberoasting",
    "dns-tunnel",
    "certificate-dates",
    "self-signed",
    "rogue-dhcp",
    "odd-sibling",
    "first-path-groups",
    "beacon-replicas",
    "agent-dark",
    "attestation-failed",
    "sensitive-endpoints",
]
#: What must be there for the question to mean anything, where a table alone does not say it.
NEEDS = {
    "dns": "kind = 'dns'",
    "tls": "cert_sha256 IS NOT NULL",
    "dhcp": "message IN ('OFFER', 'ACK', 'ADVERTISE', 'REPLY')",
}


def could_fire(reader: CaseReader, question: Question) -> bool:
    """Whether the table that it reads first (flows are in every capture) has a row that it could ask."""
    tables = {table.name for table in TABLES} - {"flows"}
    asked = next((word for word in re.findall(r"\bFROM (\w+)", question.sql) if word in tables), "flows")
    if question.id == "dcsync":
        asked = "dcerpc"
    found = reader.query(f"SELECT 1 FROM {asked} WHERE {NEEDS.get(asked, 'true')} LIMIT 1")
    return bool(found.num_rows)


def main(names: list[str]) -> int:
    """Index each capture into a case of its own and ask it everything."""
    questions = [load_question(queries_folder() / "detections" / f"{name}.sql") for name in names or WANTED]
    could: Counter[str] = Counter()
    did: Counter[str] = Counter()
    for name in captures():
        with tempfile.TemporaryDirectory() as place:
            try:
                index_sources(IndexRequest((str(folder() / name),), Path(place) / "case", hash=False))
            except WorkbenchError as error:
                print(f"{name}: {error}")
                continue
            with CaseReader(Path(place) / "case") as reader:
                for question in questions:
                    rows = run_question(reader, question).to_pylist()
                    could[question.id] += could_fire(reader, question)
                    did[question.id] += bool(rows)
                    for row in rows:
                        print(
                            f"{name}: {question.id} {row.get('severity', question.severity)}: {visible(row['why'])}", flush=True
                        )
    print(f"{len(captures())} captures")
    for question in questions:
        print(f"{question.id}: could fire on {could[question.id]}, fired on {did[question.id]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
