"""Made-up cases whose flows have names: workloads by address, and what agents told of hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.detections.shipped import Row, address, ends
from tests.store.rows import T0, batch, flow, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter


def workload(ip: str, name: str, *, uid: str = "", kind: str = "pod", namespace: str = "shop", **labels: str) -> Row:
    """A workload that holds an address all the time."""
    return {
        "uid": uid or f"uid-{name}", "name": name, "namespace": namespace, "kind": kind, "labels": json.dumps(labels), "ip": ip,
        "node": f"node-of-{name}",
    }  # fmt: skip


def at(second: float, src: str, dst: str, port: int = 443, **more: Any) -> Row:
    """A flow so many seconds into the case."""
    start = T0 + round(second * 1e6)
    return {"ts": start, "ts_end": start + 1000, "dst_port": port, **ends(src, dst), **more}


def named_case(folder: Path, rows: list[Row], workloads: list[Row], events: list[Row] | None = None) -> CaseReader:
    """A case whose flows are named by the address of either end; who held it when does not matter here."""
    ids = {one["ip"]: n for n, one in enumerate(workloads, 1)}
    flows = [flow(n, **row) for n, row in enumerate(rows)]
    held = [
        one | {"workload_id": ids[one["ip"]], "hi": 0, "lo": int.from_bytes(address(one["ip"])[8:], "big"), "claimants": 1,
               "origin": "kubernetes", "confidence": 0.9}
        for one in workloads
    ]  # fmt: skip
    names = [
        {"flow_id": row["flow_id"], "src_wid": ids.get(row["src_ip"]), "dst_wid": ids.get(row["dst_ip"]), "ambiguous": False,
         "src_claimants": int(row["src_ip"] in ids), "dst_claimants": int(row["dst_ip"] in ids)}
        for row in flows
        if row["src_ip"] in ids or row["dst_ip"] in ids
    ]  # fmt: skip
    with CaseWriter(folder) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", flows))
        writer.append("workloads", batch("workloads", held))
        writer.append("flow_identity", batch("flow_identity", names))
        writer.append("host_events", batch("host_events", [{"source_id": 1, "kind": "attestation"} | e for e in events or []]))
        writer.update_source(1, state="ok", packets=9 * len(rows), flows=len(rows))
    return CaseReader(folder)
