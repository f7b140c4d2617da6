"""What an object of Kubernetes says of addresses: whose, from when, until when. Functions of one object, which may be anything.

Fields: pod v1 (status.podIPs, hostIPs, startTime, conditions, containerStatuses), node v1 (status.addresses), service v1
(spec.clusterIPs, externalIPs, status.loadBalancer), endpointslice discovery.k8s.io/v1, egressip k8s.ovn.org/v1. Annotations, env,
command lines and data are not looked at.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

from workbench.records.claims import OWNER_LABEL, claimed_address, claimed_labels, claimed_text, claimed_time

_OVER: Final = ("Succeeded", "Failed")
#: The pod's network is there: since 1.29, and before.
_NETWORK_READY: Final = ("PodReadyToStartContainers", "PodHasNetwork")
_STATUSES: Final = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
#: Elements of one list inside an object that are looked at.
_MOST: Final = 10_000


def part(value: Any, *names: str) -> dict[str, Any]:
    """The object at that path inside; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; empty where there is none."""
    return [one for one in value[:_MOST] if isinstance(one, dict)] if isinstance(value, list) else []


def addresses(value: Any, one: Any = None, key: str = "ip") -> list[str]:
    """Addresses of a list of text or of objects with `key`, or else the single one beside it."""
    found: dict[str, None] = {}
    for entry in value[:_MOST] if isinstance(value, list) else ():
        address = claimed_address(entry.get(key) if isinstance(entry, dict) else entry)
        if address is not None:
            found[address] = None
    if not found and (address := claimed_address(one)) is not None:
        found[address] = None
    return list(found)


def kind_of(obj: dict[str, Any], told: str) -> str:
    """Its kind; told: what the list around it says. Raw lists don't repeat it in their items, then the shape tells."""
    kind = obj.get("kind")
    if isinstance(kind, str) and kind:
        return kind
    return told or ("Pod" if "containers" in part(obj, "spec") else "")


def said_at(obj: dict[str, Any]) -> dt.datetime | None:
    """The latest time that the object has of itself: this version of it is not older."""
    return max((at for at in map(claimed_time, _times(obj)) if at is not None), default=None)


def _times(obj: dict[str, Any]) -> Iterator[Any]:
    meta, status = part(obj, "metadata"), part(obj, "status")
    yield meta.get("creationTimestamp")
    yield status.get("startTime")
    for entry in listed(meta.get("managedFields")):
        yield entry.get("time")
    for condition in listed(status.get("conditions")):
        yield condition.get("lastTransitionTime")
        yield condition.get("lastHeartbeatTime")
    for container in _containers(status):
        for when in ("state", "lastState"):
            yield part(container, when, "running").get("startedAt")
            for which in ("startedAt", "finishedAt"):
                yield part(container, when, "terminated").get(which)


def _containers(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [container for name in _STATUSES for container in listed(status.get(name))]


def host_network(pod: dict[str, Any]) -> bool:
    """Whether its address is its node's."""
    spec, status = part(pod, "spec"), part(pod, "status")
    if spec.get("hostNetwork") in (True, "true"):
        return True
    own = claimed_address(status.get("podIP"))
    return "spec" not in pod and own is not None and own == claimed_address(status.get("hostIP"))


def pod_from(pod: dict[str, Any]) -> dt.datetime | None:
    """Since when it holds its addresses: its network was ready, where nothing began anew since; else the kubelet took it on.

    Not since it was created: it may have waited for hours, and had no address.
    """
    status = part(pod, "status")
    start = claimed_time(status.get("startTime"))
    containers = _containers(status)
    if any(container.get("restartCount") not in (0, "0", None) for container in containers):
        return start
    ready = [
        at
        for condition in listed(status.get("conditions"))
        if condition.get("type") in _NETWORK_READY and condition.get("status") == "True"
        if (at := claimed_time(condition.get("lastTransitionTime"))) is not None
    ]
    began = [
        at
        for container in containers
        for state in ("running", "terminated")
        if (at := claimed_time(part(container, "state", state).get("startedAt"))) is not None
    ]
    if not ready:
        return start or min(began, default=None)
    at = min(ready + began)
    return at if start is None else max(at, start)


def pod_over(pod: dict[str, Any]) -> tuple[dt.datetime | None, str]:
    """When it ended, and how that is known; (None, '') while it runs.

    It ends when it is complete, not when it is deleted: what is complete holds no address, and may be listed for days.
    Times are written as whole seconds, cut off: it ended at some time in that second, so it holds its address to the end of it.
    A successor that begins in the same second makes it ambiguous, as it is; cut at the beginning, its flows would be the other's.
    """
    meta, status = part(pod, "metadata"), part(pod, "status")
    containers = _containers(status)
    ended = [claimed_time(part(container, "state", "terminated").get("finishedAt")) for container in containers]
    known = [at for at in ended if at is not None]
    if status.get("phase") in _OVER:
        if known:
            return _second_over(max(known)), "its last container finished"
        changed = [claimed_time(one.get("lastTransitionTime")) for one in listed(status.get("conditions"))]
        at = max((at for at in changed if at is not None), default=None) or said_at(pod)
        return at, "over; no container says when: the last change of its conditions"
    if meta.get("deletionTimestamp") and known and len(known) == len(ended):
        return _second_over(max(known)), "deleted, and its last container finished"
    return None, ""


def _second_over(at: dt.datetime) -> dt.datetime:
    """The end of the second that a time of whole seconds means; other times as they are."""
    return at if at.microsecond else at + dt.timedelta(seconds=1)


def pod_labels(pod: dict[str, Any]) -> dict[str, str]:
    """Its labels, and what it belongs to, so that replicas group."""
    labels = claimed_labels(part(pod, "metadata").get("labels"))
    owner = owner_of(pod, labels)
    if owner:
        labels[OWNER_LABEL] = owner
    return labels


def owner_of(obj: dict[str, Any], labels: dict[str, str]) -> str | None:
    """What controls it, such as StatefulSet/db; a deployment's replica set is told as the deployment."""
    owners = listed(part(obj, "metadata").get("ownerReferences"))
    owners.sort(key=lambda one: one.get("controller") not in (True, "true"))
    for one in owners:
        kind, name = claimed_text(one.get("kind"), 64), claimed_text(one.get("name"), 256)
        if kind is None or name is None:
            continue
        made_of = labels.get("pod-template-hash")
        if kind == "ReplicaSet" and made_of and name.endswith(f"-{made_of}"):
            return f"Deployment/{name.removesuffix(f'-{made_of}')}"
        return f"{kind}/{name}"
    return None


def service_addresses(service: dict[str, Any]) -> list[str]:
    """Its virtual addresses, and those of load balancers."""
    spec, status = part(service, "spec"), part(service, "status")
    found = addresses(spec.get("clusterIPs"), spec.get("clusterIP"))
    found += addresses(spec.get("externalIPs"), spec.get("loadBalancerIP") if spec.get("type") == "LoadBalancer" else None)
    found += addresses(part(status, "loadBalancer").get("ingress"))
    return list(dict.fromkeys(found))


def node_addresses(node: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Addresses of the node itself, and those that others reach it at (a cloud translates them)."""
    told = listed(part(node, "status").get("addresses"))
    own = addresses([one for one in told if one.get("type") == "InternalIP"], key="address")
    outer = addresses([one for one in told if one.get("type") == "ExternalIP"], key="address")
    return (own, [ip for ip in outer if ip not in own]) if own else (outer, [])
