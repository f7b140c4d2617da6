"""Objects as an API server writes them, with secrets in every place that is not to be read."""

from __future__ import annotations

import json
from typing import Any

SECRET = "hunter2-do-not-keep"


def pod(
    name: str,
    ip: str | list[str] | None,
    *,
    uid: str | None = None,
    namespace: str = "shop",
    phase: str = "Running",
    start: str = "2024-11-05T10:00:00Z",
    began: str | None = "2024-11-05T10:00:04Z",
    finished: str | None = None,
    deleted: str | None = None,
    host: str = "192.0.2.11",
    version: int = 100,
    host_network: bool = False,
    **labels: str,
) -> dict[str, Any]:
    """A pod. finished: when its only container did."""
    ips = [ip] if isinstance(ip, str) else ip or []
    state: dict[str, Any] = {"running": {"startedAt": began}} if began else {"waiting": {"reason": SECRET}}
    if finished:
        state = {"terminated": {"startedAt": began, "finishedAt": finished, "exitCode": 0, "message": SECRET}}
    replicas = f"{name.rsplit('-', 1)[0]}"
    meta: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": "2024-11-05T09:00:00Z",
        "labels": {"app": "web", **labels},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": SECRET},
        "ownerReferences": [{"kind": "ReplicaSet", "name": replicas, "controller": True, "uid": "r"}],
    }
    if deleted:
        meta["deletionTimestamp"] = deleted
    status: dict[str, Any] = {
        "phase": phase,
        "hostIP": host,
        "startTime": start,
        "message": SECRET,
        "containerStatuses": [{"name": "c", "restartCount": 0, "state": state, "image": SECRET}],
    }
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": one} for one in ips]}
    container = {"name": "c", "command": [SECRET], "args": [SECRET], "env": [{"name": "PASSWORD", "value": SECRET}]}
    spec: dict[str, Any] = {"nodeName": "node-a", "containers": [container]}
    if host_network:
        spec["hostNetwork"] = True
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def service(name: str, ip: str, **more: Any) -> dict[str, Any]:
    """A service of that cluster address."""
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": "2024-11-01T00:00:00Z"}
    spec = {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], **more.pop("spec", {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec, "status": more}


def node(name: str, *own: str, external: str | None = None) -> dict[str, Any]:
    """A node."""
    told = [{"type": "InternalIP", "address": ip} for ip in own] + [{"type": "Hostname", "address": name}]
    if external:
        told.append({"type": "ExternalIP", "address": external})
    meta = {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2024-10-01T00:00:00Z", "labels": {"zone": "z1"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": {"addresses": told}}


def listing(*items: Any) -> bytes:
    """As `kubectl get -o json` writes a list."""
    whole = {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {"resourceVersion": ""}}
    return json.dumps(whole, indent=4).encode() + b"\n"


def event(kind: str, obj: Any, **more: Any) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": obj, **more}).encode() + b"\n"
