"""Keeping what detections found: a segment that stands for all findings there were.

Whoever keeps some holds the ingest lock for a moment, reads the findings of all other detections, and writes
everything anew; readers of any process see the old set or the new one. The next compaction takes it in.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

import pyarrow as pa

from workbench.records.arrow import arrow_schema
from workbench.store.case import CaseFolder, IngestLock
from workbench.store.engine import writing
from workbench.store.reader import CaseReader
from workbench.store.schema import column_list
from workbench.store.segments import SegmentFiles

#: Flows of a finding that are listed as its evidence.
MOST_FLOWS: Final = 1000


def keep_findings(case_dir: Path, detections: Collection[str], found: pa.Table) -> None:
    """Replace the findings of these detections by the rows of `found` (schema of `findings`); all others stay.

    CaseBusyError where somebody is writing the case, MissingPathError where it cannot be written, DiskFullError.
    """
    case = CaseFolder.open(case_dir)
    with IngestLock(case), CaseReader(case_dir) as reader, writing(str(case.root)):
        ran = {"ran": sorted(detections)}
        others = reader.query(f"SELECT {column_list('findings')} FROM findings WHERE NOT list_contains($ran, detection)", ran)
        rows = pa.concat_tables([others.cast(arrow_schema("findings")), found.cast(arrow_schema("findings"))])
        SegmentFiles(case, {}).replace_whole({"findings": rows, "finding_flows": _linked(rows)})


def _linked(findings: pa.Table) -> pa.Table:
    """The flows of each finding, out of its JSON."""
    ids: list[str] = []
    flows: list[int] = []
    for finding_id, text in zip(findings["finding_id"].to_pylist(), findings["flow_ids"].to_pylist(), strict=True):
        listed = dict.fromkeys(flow_ids(text))
        ids += [finding_id] * len(listed)
        flows += listed
    return pa.table({"finding_id": ids, "flow_id": flows}, arrow_schema("finding_flows"))


def flow_ids(text: str) -> list[int]:
    """The flows that the column `flow_ids` of a finding lists, at most MOST_FLOWS; none where it is not what we write."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(listed, list):
        return []
    whole = [one for one in listed if isinstance(one, int) and not isinstance(one, bool) and abs(one) < 2**63]
    return whole[:MOST_FLOWS]
