"""What managers would have written of a scenario: a cluster's watch log per tenant, an inventory of everything as CSV.

Times in Kubernetes are whole seconds (metav1.Time is written as RFC 3339 without a fraction), cut off, not rounded: that is kept
here, and an inventory has microseconds.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab.identity.plan import NODES
from tests.lab.identity.world import UNDERLAY, Held

COLUMNS = ("uid", "name", "namespace", "kind", "node", "labels", "network", "ip", "mac", "from", "to")


def second(micros: int) -> str:
    """As Kubernetes writes a time."""
    return dt.datetime.fromtimestamp(micros // 1_000_000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(micros: int) -> str:
    """RFC 3339 with microseconds."""
    return dt.datetime.fromtimestamp(micros // 1_000_000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{micros % 1_000_000:06d}Z"


def _pods(held: Iterable[Held]) -> list[list[Held]]:
    """What each pod held, by uid, in the order of their beginnings."""
    found: dict[str, list[Held]] = {}
    for one in sorted(held, key=lambda row: row.begin):
        if one.kind == "pod":
            found.setdefault(one.uid, []).append(one)
    return list(found.values())


def _pod(rows: list[Held], version: int, status: dict[str, Any], **more: str) -> dict[str, Any]:
    first = rows[0]
    meta: dict[str, Any] = {
        "name": first.name,
        "namespace": first.namespace,
        "uid": first.uid,
        "resourceVersion": str(version),
        "creationTimestamp": second(first.begin),
        "labels": first.labels,
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": first.name.rpartition("-")[0], "controller": True}],
        **more,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"nodeName": first.node}, "status": status}


def _events(rows: list[Held]) -> list[tuple[int, str, dict[str, Any]]]:
    """(microseconds, type, pod) of a pod's life as a watch tells it."""
    first, end = rows[0], rows[0].end
    name, started = first.labels["app"], {"startedAt": second(first.begin)}
    known = {
        "hostIP": UNDERLAY.get(first.node, UNDERLAY[NODES[0]]),
        "podIP": first.ip,
        "podIPs": [{"ip": row.ip} for row in rows],
        "startTime": second(first.begin),
    }
    running = {"phase": "Running", **known, "containerStatuses": [{"name": name, "ready": True, "state": {"running": started}}]}
    told = [
        (first.begin, "ADDED", _pod(rows, 1, {"phase": "Pending"})),
        (first.begin + 1, "MODIFIED", _pod(rows, 2, running)),
    ]
    if end is not None:
        over = {**started, "finishedAt": second(end), "exitCode": 137 if first.crash else 0}
        over["reason"] = "Error" if first.crash else "Completed"
        phase = "Failed" if first.crash else "Succeeded"
        done = {"phase": phase, **known, "containerStatuses": [{"name": name, "ready": False, "state": {"terminated": over}}]}
        told.append((end, "MODIFIED", _pod(rows, 3, done)))
        told.append((end + 1, "DELETED", _pod(rows, 4, done, deletionTimestamp=second(end))))
    return told


def watch_log(path: Path, held: Iterable[Held], tenant: str, until: int | None = None) -> None:
    """What a watch of a tenant's cluster told, an event a line; up to a time only, as one that is not over."""
    told = [event for rows in _pods(row for row in held if row.tenant == tenant) for event in _events(rows)]
    told.sort(key=lambda event: event[0])
    with path.open("w") as out:
        for at, kind, pod in told:
            if until is None or at <= until:
                out.write(json.dumps({"type": kind, "object": pod}) + "\n")


def pod_list(path: Path, held: Iterable[Held], tenant: str, at: int) -> None:
    """``kubectl get pods -A -o json`` at one moment: who is there, without an end, and who completed before."""
    items = []
    for rows in _pods(row for row in held if row.tenant == tenant):
        seen = [pod for when, _, pod in _events(rows) if when <= at]
        items += seen[-1:]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1))


def inventory(path: Path, held: Iterable[Held]) -> None:
    """Everything that was held, a line each, with its network and its exact times."""
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        for one in held:
            labels = json.dumps(one.labels)
            times = (exact(one.begin), exact(one.end) if one.end is not None else "")
            where = (one.network or "untagged", one.ip, one.mac)
            rows.writerow((one.uid, one.name, one.namespace, one.kind, one.node, labels, *where, *times))
