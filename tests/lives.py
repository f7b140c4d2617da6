"""A small case with names, made up: workloads that come and go, addresses used again, one that two claim, and a stranger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.store.rows import T0, batch, flow, halves, source
from workbench.store.writer import CaseWriter

MINUTE = 60_000_000
#: From the first flow to the last.
HOUR = 60 * MINUTE

#: name, namespace, node, address, labels, from minute, to minute, claimants; None: no known beginning or end.
PODS: tuple[tuple[str, str, str, str, dict[str, str], int | None, int | None, int], ...] = (
    ("api-0", "web", "node-a", "10.244.0.10", {"app": "api", "tier": "front"}, -90, None, 1),
    ("api-1", "web", "node-b", "10.244.0.11", {"app": "api", "tier": "front"}, 20, None, 1),
    ("db-0", "data", "node-a", "10.244.0.20", {"app": "db"}, None, None, 1),
    ("job-a", "train", "node-b", "10.244.0.30", {"app": "job"}, 5, 15, 1),
    ("job-b", "train", "node-b", "10.244.0.30", {"app": "job"}, 16, 24, 1),
    ("job-c", "train", "node-c", "10.244.0.30", {"app": "job"}, 30, 58, 1),
    ("twin-1", "train", "node-a", "10.244.0.40", {}, 10, 40, 2),
    ("twin-2", "train", "node-c", "10.244.0.40", {}, 10, 40, 2),
)
STRANGER = "203.0.113.9"


def us(minute: float | None) -> int | None:
    """Microseconds since 1970 of a minute of the case."""
    return None if minute is None else int(T0 + minute * MINUTE)


def workload(n: int, pod: tuple[Any, ...], **fields: Any) -> dict[str, Any]:
    """A row of `workloads` from one of PODS."""
    name, namespace, node, ip, labels, first, last, claimants = pod
    at = halves("src", ip)
    return {
        "workload_id": n, "uid": f"uid-{name}", "name": name, "namespace": namespace, "kind": "pod", "node": node,
        "labels": json.dumps(labels), "network": None, "ip": ip, "hi": at["src_hi"], "lo": at["src_lo"], "mac": None,
        "ts_from": us(first), "ts_to": us(last), "claimants": claimants, "origin": "kubernetes", "confidence": 0.9,
    } | fields  # fmt: skip


def claim(row: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the row rests on."""
    kept = {name: value for name, value in row.items() if name not in ("workload_id", "claimants")}
    return kept | {"source_id": 1, "ts_seen": row["ts_from"], "detail": "status Running"} | fields


#: Flows: minute, originator and responder (number of PODS from 1, or an address), bytes of the originator.
FLOWS: tuple[tuple[float, int | str, int | str, int], ...] = (
    (0, 1, 3, 5_000), (6, 4, 3, 90_000), (12, 4, 1, 700), (18, 5, 3, 40_000), (25, 2, 3, 8_000), (31, 6, 3, 300_000),
    (33, 6, STRANGER, 2_000_000), (35, "10.244.0.40", 3, 900), (45, 2, 1, 1_200), (50, 6, 2, 60_000), (60, 1, STRANGER, 300),
)  # fmt: skip


def make_named_case(root: Path, pods: tuple[Any, ...] = PODS, *, findings: bool = False, **fields: Any) -> Path:
    """The case. fields: of every row of `workloads`."""
    rows = [workload(n, pod, **fields) for n, pod in enumerate(pods, 1)]
    beaten = claim(
        rows[0], uid="dns-x", name="old.example", namespace=None, kind="name", origin="dns", confidence=0.3, detail="A"
    )
    made, named = [], []
    for n, (minute, src, dst, size) in enumerate(FLOWS):
        ends = [pods[end - 1][3] if isinstance(end, int) else end for end in (src, dst)]
        ts = us(minute)
        assert ts is not None
        made.append(flow(n, ts=ts, ts_end=ts + 30_000_000, src_ip=ends[0], dst_ip=ends[1], src_bytes=size, network=""))
        doubt = [2 if ip == "10.244.0.40" else int(ip != STRANGER) for ip in ends]
        wids = [end if isinstance(end, int) else None for end in (src, dst)]
        named.append({"flow_id": (1 << 40) + n, "src_wid": wids[0], "dst_wid": wids[1], "ambiguous": max(doubt) > 1,
                      "src_claimants": doubt[0], "dst_claimants": doubt[1]})  # fmt: skip
    with CaseWriter(root) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", made))
        writer.append("workloads", batch("workloads", rows))
        writer.append("claims", batch("claims", [*(claim(row) for row in rows), beaten]))
        writer.append("flow_identity", batch("flow_identity", named))
        if findings:
            _add_findings(writer)
        writer.update_source(1, state="ok", packets=9 * len(made), flows=len(made))
    return root


def _add_findings(writer: CaseWriter) -> None:
    """One about what job-c sent out, one about what it sent to api-1."""
    for number, n in (("a" * 16, 6), ("b" * 16, 9)):
        flow_id = (1 << 40) + n
        row = {
            "finding_id": number, "detection": "made-up", "title": "made up", "severity": "high", "ts_first": us(33),
            "ts_last": us(34), "subject": "10.244.0.30", "object": None, "score": 0.9, "flows": 1, "found": us(70),
            "flow_ids": json.dumps([flow_id]), "attack": "", "state": "open", "why": "made up", "evidence": "{}",
            "parameters": "{}",
        }  # fmt: skip
        writer.append("findings", batch("findings", [row]))
        writer.append("finding_flows", batch("finding_flows", [{"finding_id": number, "flow_id": flow_id}]))
