"""From a detection's rows to findings as they are kept: ids, bounds, evidence and flows as JSON."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from workbench.detections.question import SEVERITIES, Question
from workbench.detections.runner import MOST_FINDINGS, OPTIONAL, STANDARD
from workbench.errors import QueryError
from workbench.records.arrow import arrow_schema
from workbench.store.findings import MOST_FLOWS

#: Characters of a text at most; names from the wire can be long.
_LONGEST: Final = {"subject": 500, "object": 500, "why": 1000}
_EVIDENCE: Final = 500


def findings_of(
    question: Question, rows: pa.Table, found: dt.datetime, written: Mapping[str, Any] | None = None
) -> tuple[pa.Table, list[str]]:
    """Rows of `findings` (its schema), and what was left out, in words. The worst score first.

    rows: as `run_question` gives them. found: when it ran, UTC without a zone. written: parameters that a person gave.
    QueryError where a row lacks what a finding needs.
    """
    notes = []
    listed = rows.slice(0, MOST_FINDINGS).to_pylist()
    if rows.num_rows > MOST_FINDINGS:
        notes.append(f"{question.id} finds more than {MOST_FINDINGS:,}; the others are left out: narrow its parameters")
    made: dict[str, dict[str, Any]] = {}
    for row in sorted((_finding(question, row, found, written or {}) for row in listed), key=_worst_first):
        made.setdefault(row["finding_id"], row)
    if len(made) < len(listed):
        notes.append(f"{question.id} yields the same subject and object more than once; the highest score of each is kept")
    return pa.Table.from_pylist(list(made.values()), arrow_schema("findings")), notes


def finding_id(detection: str, subject: str, target: str | None) -> str:
    """16 hex digits that are the same whenever this detection finds this subject and object."""
    return hashlib.sha256(json.dumps([detection, subject, target]).encode()).hexdigest()[:16]


def at_or_above(severity: str, limit: str) -> bool:
    """Whether a severity is as bad as the limit, or worse."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(limit)


def _worst_first(row: dict[str, Any]) -> tuple[int, float, str, str]:
    return -SEVERITIES.index(row["severity"]), -row["score"], row["subject"], row["object"] or ""


def _finding(question: Question, row: dict[str, Any], found: dt.datetime, written: Mapping[str, Any]) -> dict[str, Any]:
    for name in STANDARD:
        if row[name] is None and name not in ("object", "flow_ids"):
            raise QueryError(f"{question.id}: a row of its answer has no {name}", f"Mend {question.path}.")
    score = float(row["score"])
    if not 0 <= score <= 1:  # not a number, too
        raise QueryError(f"{question.id}: it scores {score:g}, and scores lie between 0 and 1", f"Mend {question.path}.")
    severity = row.get("severity") or question.severity
    if severity not in SEVERITIES:
        raise QueryError(f"{question.id}: its severity {severity[:40]!r} is none", f"It is one of {', '.join(SEVERITIES)}.")
    evidence = {name: _plain(value) for name, value in row.items() if name not in STANDARD and name not in OPTIONAL}
    parameters = {name: written.get(name, one.default) for name, one in question.parameters.items()}
    return {
        "finding_id": finding_id(question.id, row["subject"], row["object"]),
        "detection": question.id,
        "title": question.title,
        "severity": severity,
        "ts_first": row["ts_first"],
        "ts_last": row["ts_last"],
        "subject": _cut("subject", row["subject"]),
        "object": None if row["object"] is None else _cut("object", row["object"]),
        "score": score,
        "flow_ids": json.dumps([one for one in row["flow_ids"] or () if one is not None][:MOST_FLOWS]),
        "flows": int(row["flows"]),
        "attack": ",".join(question.attack),
        "state": "open",
        "why": _cut("why", row["why"]),
        "evidence": json.dumps(evidence, ensure_ascii=False),
        "found": found,
        "parameters": json.dumps(parameters, ensure_ascii=False, default=str),
    }


def _cut(name: str, text: str) -> str:
    return text if len(text) <= _LONGEST[name] else f"{text[: _LONGEST[name] - 1]}…"


def _plain(value: Any) -> Any:
    """As JSON has it: times as text with Z, bytes as hex, what is no number as null."""
    if isinstance(value, dt.datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value[:MOST_FLOWS]]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if value is None or isinstance(value, bool | int):
        return value
    text = str(value)
    return text if len(text) <= _EVIDENCE else f"{text[: _EVIDENCE - 1]}…"
