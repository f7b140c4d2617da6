"""Objects and events of Kubernetes to claims: `kubectl get -o json|yaml`, watch logs, audit logs, and what is watched live.

Kept between objects is what each one claimed last, so that a watch that says a pod again says nothing new, a later list that
lacks one ends it, and an address that a pod gave up ends. That is bounded; beyond the bound only repetition grows.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workbench.records.claims import Claim, claimed_labels, claimed_text, claimed_time
from workbench.sources.inventory import kubernetes_objects as objects
from workbench.sources.inventory.kubernetes_objects import part
from workbench.sources.inventory.told import Told

ORIGIN: Final = "kubernetes"
#: A pod's status names no network. An endpoint says less, and an end that nobody saw is an estimate.
STATUS: Final = 0.9
ENDPOINT: Final = 0.8
ESTIMATE: Final = 0.6

#: Objects remembered, about 1 KB each.
_MOST_KNOWN: Final = 100_000
_MOST_PENDING: Final = 100_000
_TICK: Final = dt.timedelta(microseconds=1)
_EVENTS: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
_CLUSTER: Final = "Node"


@dataclass(slots=True)
class _Known:
    """What an object claimed last. version: its resourceVersion; mark: the list or stream that had it last."""

    kind: str
    namespace: str | None
    held: dict[str, Claim] = field(default_factory=dict)
    seen: dt.datetime | None = None
    version: int = 0
    mark: int = 0
    over: bool = False


class Kubernetes:
    """`begin` a document or list, `take` its objects, `end` it. told: claims, and what could not be used."""

    def __init__(self, most: int = _MOST_KNOWN) -> None:
        self.told = Told()
        self.others = 0  # objects of kinds that hold no address
        self.version = ""  # the last resourceVersion that a list, bookmark or event told
        self._most = most
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._nodes: dict[str, dict[str, Claim]] = {}
        self._slices: dict[str, set[str]] = {}
        self._pending: list[Claim] = []
        self._mark = 0
        self._marks: dict[str, int] = {}  # of kinds that are listed by themselves
        self._times: dict[int, dt.datetime | None] = {}
        self._scope: dict[str, set[str | None]] = {}  # kinds of the present list, and their namespaces
        self._newest: dt.datetime | None = None

    # -- lists and streams ------------------------------------------------------------------------

    def begin(self, kind: str = "") -> None:
        """A document or a list begins. kind: a list of that kind alone; those of others may go on beside it."""
        self._mark += 1
        if kind:
            self._marks[kind] = self._mark
            self._scope.pop(kind, None)
        else:
            self._marks.clear()
            self._scope.clear()
        self._newest = None

    def _mark_of(self, kind: str) -> int:
        return self._marks.get(kind, self._mark)

    def end(
        self,
        at: dt.datetime | None = None,
        *,
        listed: bool = False,
        kind: str = "",
        whole: bool = False,
        alive: dt.datetime | None = None,
    ) -> None:
        """It is over. listed: it was a whole list, so what it lacks of what was known before is gone.

        at: when it was made, where known; else it is as old as the latest time in it. kind: as of `begin`. whole: all namespaces
        were asked for; else it speaks for those that occur (where it is one only, for it alone). alive: until when a watch told
        what was known.
        """
        made = max((t for t in (at, self._newest) if t is not None and not (kind and at)), default=at)
        self._times[self._mark_of(kind)] = made
        if listed:
            self._compare(made, kind, alive, whole=whole)
        for claim in self._pending:
            if claim.uid not in self._known:
                self.told.claim(claim)
        self._pending.clear()

    def _compare(self, made: dt.datetime | None, kind: str, alive: dt.datetime | None, *, whole: bool) -> None:
        gone = 0
        for known in self._known.values():
            if known.mark == self._mark_of(known.kind) or known.over or not known.held or kind not in ("", known.kind):
                continue
            namespaces = self._scope.get(known.kind, set())
            every = whole or (bool(namespaces) and (known.kind == _CLUSTER or len(namespaces) > 1))
            if not every and known.namespace not in namespaces:
                continue
            last = self._times.get(known.mark) or known.seen
            last = max((t for t in (last, known.seen, alive) if t is not None), default=None)
            if last is None or made is None or (made <= last and not whole):
                continue  # a list that is older than what is known
            last = min(last, made)
            known.over = True
            gone += 1
            first = next(iter(known.held.values()))
            detail = f"gone between {last:%Y-%m-%dT%H:%M:%SZ} and {made:%Y-%m-%dT%H:%M:%SZ}: ends when it was last seen"
            self.told.claim(_end_of(first, last, made, detail, ESTIMATE))
        if gone:
            self.told.notes.append(f"{gone} ended since a later list lacks them, when they were last seen")

    def remember(self, claim: Claim) -> None:
        """A claim of an earlier run that no end is known of."""
        if claim.ip is None:
            return
        kind = {"pod": "Pod", "service": "Service", "node": "Node", "nat": "EgressIP"}.get(claim.kind, claim.kind)
        known = self._known.setdefault(claim.uid, _Known(kind, claim.namespace))
        known.held[claim.ip] = claim
        known.seen = max((t for t in (known.seen, claim.ts_seen) if t is not None), default=None)

    # -- objects ----------------------------------------------------------------------------------

    def take(self, value: Any, where: str, kind: str = "", at: dt.datetime | None = None) -> None:
        """One object, or an event that holds one. kind: what the list says that it is; at: when an event was had."""
        self.told.objects += 1
        if not isinstance(value, dict):
            self.told.bad("not an object", where)
            return
        if value.get("type") in _EVENTS and "object" in value:
            at = at or next((t for name in ("timestamp", "time", "ts") if (t := claimed_time(value.get(name)))), None)
            self._event(value["type"], value["object"], where, at)
        elif value.get("kind") == "Event" and str(value.get("apiVersion", "")).startswith("audit.k8s.io/"):
            self._audited(value, where)
        else:
            self._object(value, where, kind, at, gone=False)

    def _event(self, kind: str, obj: Any, where: str, at: dt.datetime | None) -> None:
        if not isinstance(obj, dict):
            self.told.bad("an event without an object", where)
        elif kind == "ERROR":
            code = obj.get("code")
            self.told.gaps.append(f"{where}: the watch ended with {code if isinstance(code, int) else 'an error'}")
        elif kind == "BOOKMARK":
            self.version = claimed_text(part(obj, "metadata").get("resourceVersion"), 64) or self.version
        else:
            self._object(obj, where, "", at, gone=kind == "DELETED")

    def _audited(self, event: dict[str, Any], where: str) -> None:
        """What an audit log kept of an answer. Who asked is not looked at."""
        obj = event.get("responseObject")
        if event.get("stage") not in (None, "ResponseComplete") or not isinstance(obj, dict):
            self.others += 1
            return
        at = claimed_time(event.get("stageTimestamp"))
        final = part(obj, "metadata").get("deletionGracePeriodSeconds") in (0, "0")
        self._object(obj, where, "", at, gone=event.get("verb") == "delete" and final)

    def _object(self, obj: dict[str, Any], where: str, told: str, at: dt.datetime | None, *, gone: bool) -> None:
        kind = objects.kind_of(obj, told)
        if kind not in _READERS:
            self.others += 1
            return
        meta = part(obj, "metadata")
        name, namespace = claimed_text(meta.get("name")), claimed_text(meta.get("namespace"))
        if name is None:
            self.told.bad(f"{kind} without a name", where)
            return
        said = objects.said_at(obj)
        self._newest = max((t for t in (said, self._newest) if t is not None), default=None)
        self._scope.setdefault(kind, set()).add(namespace)
        self.version = claimed_text(meta.get("resourceVersion"), 64) or self.version
        uid = claimed_text(meta.get("uid")) or f"{ORIGIN}:{kind.lower()}/{namespace or ''}/{name}"
        base = Claim(uid, "host", ORIGIN, STATUS, name, namespace, ts_seen=said or at)
        _READERS[kind](self, obj, base, at, gone)

    # -- each kind --------------------------------------------------------------------------------

    def _pod(self, pod: dict[str, Any], base: Claim, at: dt.datetime | None, gone: bool) -> None:
        status = part(pod, "status")
        node = claimed_text(part(pod, "spec").get("nodeName"))
        hosts = objects.addresses(status.get("hostIPs"), status.get("hostIP"))
        held = objects.addresses(status.get("podIPs"), status.get("podIP"))
        since = objects.pod_from(pod)
        shared = objects.host_network(pod)
        if node is not None:
            told = "told by pods that share its address" if shared else "told as the host of pods"
            self._node_seen(node, held if shared and not hosts else hosts, since, base, told)
        if shared:  # whatever leaves from there may be any of the node's: the node is what can be said
            return
        end, why = objects.pod_over(pod)
        if gone and end is None:
            deleted = claimed_time(part(pod, "metadata").get("deletionTimestamp"))
            end, why = at or deleted or base.ts_seen, "deleted; no container says when it finished"
        phase = claimed_text(status.get("phase"), 32) or "no phase"
        detail = f"{phase}; {why}" if why else phase
        labels = objects.pod_labels(pod)
        base = replace(base, kind="pod", node=node, labels=labels, ts_from=since, ts_to=end, detail=detail)
        self._say("Pod", base, held, pod)

    def _service(self, service: dict[str, Any], base: Claim, at: dt.datetime | None, gone: bool) -> None:
        meta, kind = part(service, "metadata"), claimed_text(part(service, "spec").get("type"), 32)
        since = claimed_time(meta.get("creationTimestamp"))
        labels = claimed_labels(meta.get("labels"))
        base = replace(base, kind="service", labels=labels, ts_from=since, ts_to=_deleted(meta, base, at, gone), detail=kind)
        self._say("Service", base, objects.service_addresses(service), service)

    def _node(self, node: dict[str, Any], base: Claim, at: dt.datetime | None, gone: bool) -> None:
        meta = part(node, "metadata")
        uid, detail = _node_uid(base.name), f"uid {base.uid}"
        own, outer = objects.node_addresses(node)
        since, end = claimed_time(meta.get("creationTimestamp")), _deleted(meta, base, at, gone)
        labels = claimed_labels(meta.get("labels"))
        base = replace(base, uid=uid, kind="node", node=base.name, labels=labels, ts_from=since, ts_to=end, detail=detail)
        self._nodes[base.name or ""] = {}  # it says itself: what pods say of it adds nothing
        self._say(_CLUSTER, base, own, node)
        if outer:
            base = replace(base, uid=f"{uid}/external", kind="nat", detail="external address of a node")
            self._say(_CLUSTER, base, outer, node)

    def _egress(self, egress: dict[str, Any], base: Claim, at: dt.datetime | None, gone: bool) -> None:
        meta = part(egress, "metadata")
        held = objects.addresses(part(egress, "status").get("items"), key="egressIP")
        since = claimed_time(meta.get("creationTimestamp"))
        end = _deleted(meta, base, at, gone)
        self._say("EgressIP", replace(base, kind="nat", ts_from=since, ts_to=end, detail="egress address"), held, egress)

    def _slice(self, endpoints: dict[str, Any], base: Claim, at: dt.datetime | None, gone: bool) -> None:
        """Pods as a service's endpoints: names where the pods themselves are not listed, from when it was said."""
        now: set[str] = set()
        service = claimed_labels(part(endpoints, "metadata").get("labels")).get("kubernetes.io/service-name")
        for one in [] if gone else objects.listed(endpoints.get("endpoints")):
            target = part(one, "targetRef")
            uid, name = claimed_text(target.get("uid")), claimed_text(target.get("name"))
            if target.get("kind") != "Pod" or uid is None or name is None:
                continue
            now.add(uid)
            namespace = claimed_text(target.get("namespace")) or base.namespace
            node = claimed_text(one.get("nodeName"))
            for ip in objects.addresses(one.get("addresses")):
                if len(self._pending) < _MOST_PENDING and uid not in self._slices.get(base.uid, ()):
                    detail = f"endpoint of {service}" if service else "endpoint"
                    self._pending.append(
                        Claim(uid, "pod", ORIGIN, ENDPOINT, name, namespace, node, ip=ip, ts_from=base.ts_seen,
                              ts_seen=base.ts_seen, detail=detail)
                    )  # fmt: skip
        for uid in self._slices.get(base.uid, set()) - now:
            if uid not in self._known and base.ts_seen is not None:
                end = at or base.ts_seen
                self._pending.append(Claim(uid, "pod", ORIGIN, ENDPOINT, ts_to=end, ts_seen=end, detail="no endpoint any more"))
        if now:
            self._slices[base.uid] = now
            if len(self._slices) > _MOST_PENDING:
                self._slices.pop(next(iter(self._slices)))
        else:
            self._slices.pop(base.uid, None)

    def _node_seen(self, name: str, ips: list[str], since: dt.datetime | None, base: Claim, detail: str) -> None:
        """A node's addresses as its pods tell them: since the first of those pods."""
        if _node_uid(name) in self._known:
            return
        told = self._nodes.setdefault(name, {})
        for ip in ips:
            before = told.get(ip)
            if before is not None and (since is None or before.ts_from is None or before.ts_from <= since):
                continue
            seen = base.ts_seen
            if before is not None and before.ts_seen is not None:
                seen = max(before.ts_seen + _TICK, seen or before.ts_seen)
            told[ip] = Claim(_node_uid(name), "node", ORIGIN, STATUS, name, node=name, ip=ip, ts_from=since, ts_seen=seen,
                             detail=detail)  # fmt: skip
            self.told.claim(told[ip])

    # -- what is said -----------------------------------------------------------------------------

    def _say(self, kind: str, base: Claim, ips: list[str], obj: dict[str, Any]) -> None:
        """Claims of what the object holds now, where that is news; ends of what it held and holds no more."""
        version = objects.part(obj, "metadata").get("resourceVersion")
        number = int(version) if isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 19 else 0
        known = self._known.get(base.uid)
        if known is None:
            known = self._known[base.uid] = _Known(kind, base.namespace)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(base.uid)
        known.mark = self._mark_of(kind)
        older = number and known.version and number < known.version
        if not older and known.seen is not None and (base.ts_seen is None or base.ts_seen <= known.seen):
            base = replace(base, ts_seen=known.seen + _TICK)
        base = _in_order(base)
        before = known.held
        now = {ip: replace(base, ip=ip, ts_from=self._since(base, ip, before)) for ip in ips}
        said = False
        for ip, claim in now.items():
            if ip not in before or replace(before[ip], ts_seen=claim.ts_seen) != claim:
                self.told.claim(claim)
                said = True
        if older:
            return
        lost = [ip for ip in before if ip not in now]
        if base.ts_to is not None and (lost or (not ips and not known.over)):
            self.told.claim(_end_of(base, base.ts_to, base.ts_seen, base.detail, base.confidence))
            said = True
        elif base.ts_to is None and lost and ips:
            at = base.ts_seen
            for ip in lost:
                self.told.claim(replace(before[ip], ts_to=at, ts_seen=at, detail="it has another address", confidence=ESTIMATE))
            said = True
        known.version = max(known.version, number)
        known.over = base.ts_to is not None
        if said:
            known.seen = base.ts_seen
            known.held = now if ips or base.ts_to is not None else before

    def _since(self, base: Claim, ip: str, before: dict[str, Claim]) -> dt.datetime | None:
        """An address that it has had: since when it was said to. Another one of that version of IP: since that was said.

        The beginning stays what was first said: claims that begin otherwise would be claims beside each other.
        """
        if ip in before:
            return before[ip].ts_from
        if not before:
            return base.ts_from
        return base.ts_seen if any(":" in one if ":" in ip else ":" not in one for one in before) else base.ts_from


def _in_order(claim: Claim) -> Claim:
    if claim.ts_from is not None and claim.ts_to is not None and claim.ts_to < claim.ts_from:
        return replace(claim, ts_from=claim.ts_to)  # two clocks disagree: it held it for no time that is known
    return claim


def _end_of(claim: Claim, end: dt.datetime, seen: dt.datetime | None, detail: str | None, confidence: float) -> Claim:
    return replace(claim, ip=None, ts_from=None, ts_to=end, ts_seen=seen, detail=detail, confidence=confidence)


def _deleted(meta: dict[str, Any], base: Claim, at: dt.datetime | None, gone: bool) -> dt.datetime | None:
    """When something without a life of its own ended: with its deletion."""
    return (at or claimed_time(meta.get("deletionTimestamp")) or base.ts_seen) if gone else None


def _node_uid(name: str | None) -> str:
    """Nodes go by their names: pods tell no other, and what they tell must be the same node's."""
    return f"{ORIGIN}:node/{name}"


_READERS: Final = {
    "Pod": Kubernetes._pod,
    "Service": Kubernetes._service,
    "Node": Kubernetes._node,
    "EndpointSlice": Kubernetes._slice,
    "EgressIP": Kubernetes._egress,
}
