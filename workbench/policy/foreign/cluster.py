"""What the input says of the cluster beside its policies, and Kubernetes' label selectors.

Our groups know a workload's labels and the name of its namespace, not the labels of namespaces: those are looked up here, in
the Namespace objects of the input. Names of ports likewise in its Pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workbench.policy.addresses import address, prefix
from workbench.policy.foreign import who
from workbench.policy.foreign.objects import Field, Object, Refusal
from workbench.policy.foreign.ports import PORTED, Services
from workbench.policy.foreign.ports import ports as port_range
from workbench.policy.foreign.who import NOBODY, PODS, Loads, Nets, Who
from workbench.policy.members import Condition, Selector, Workload, means

#: The label that every namespace has: its name.
NAME_LABEL: Final = "kubernetes.io/metadata.name"
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the input. ports: by (name, protocol)."""

    labels: Mapping[str, str]
    namespace: str
    ips: tuple[str, ...]
    ports: Mapping[tuple[str, str], int]


@dataclass(slots=True)
class Cluster:
    """Namespaces with their labels, and pods, of the input; facts: objects that a format looks things up in, by kind.

    notes: what was concluded from them, each once.
    """

    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    facts: dict[str, list[Object]] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def take(self, found: Object) -> bool:
        """Whether this object says something of the cluster; a Refusal where it can't be read."""
        if found.group:
            return False
        if found.kind == "Namespace":
            labels = found.body.need("metadata").get("labels")
            self.namespaces[found.name] = {**(labels.texts() if labels else {}), NAME_LABEL: found.name}
            return True
        if found.kind == "Pod":
            if (pod := _pod(found)) is not None:
                self.pods.append(pod)
            return True
        return False

    def spaces(self, wanted: Field) -> Who:
        """Every pod of the namespaces that a label selector means."""
        return self.spaces_of(label_conditions(wanted), wanted)

    def spaces_of(self, conditions: Sequence[Condition], wanted: Field) -> Who:
        """Every pod of the namespaces of which these conditions hold; wanted: where they are written."""
        if all(condition.key == NAME_LABEL for condition in conditions):
            return who.both(PODS, *(_by_name(condition) for condition in conditions))
        if not self.namespaces:
            raise wanted.wrong(f"labels of namespaces are not in the index: give the Namespace objects too, or use {NAME_LABEL}")
        selector = Selector(conditions=tuple(conditions))
        names = tuple(sorted(n for n, labels in self.namespaces.items() if means(selector, Workload(labels))))
        listed = ", ".join(names) if names else "none"
        self.notes[f"namespaces of {wanted.file}:{wanted.line}, as the Namespace objects given are: {listed}"] = None
        return Loads(names) if names else NOBODY

    def named(self, port: Field, protocol: str, dst: Who) -> list[tuple[Who, Services]]:
        """Who of dst has which number for the name of a port, by the pods of the input; Refusal where none has."""
        name, dst = port.text(), who.both(dst, PODS)  # nobody else has names of ports
        all_of = [pod for pod in self.pods if _is(pod, dst)]
        having: dict[int, list[str]] = {}
        for pod in all_of:
            if (number := pod.ports.get((name, protocol))) is not None:
                having.setdefault(number, []).extend(pod.ips)
        if not having:
            raise port.wrong(f"`{name[:60]}` is the name of a port: give the Pod objects that have it, or write its number")
        self.notes[f"port {name} of {port.file}:{port.line} is {sorted(having)}, as the Pod objects given say"] = None
        if len(having) == 1 and all((name, protocol) in pod.ports for pod in all_of):
            return [(dst, _port(protocol, number)) for number in having]
        return [(who.both(dst, who.nets(sorted(ips))), _port(protocol, number)) for number, ips in sorted(having.items()) if ips]


def selected(cluster: Cluster, namespace: str, pods: Field | None, spaces: Field | None) -> Who:
    """The pods that a pod selector means: in the namespace of the policy, or in those that a namespace selector means."""
    found: Who = Loads((namespace,)) if spaces is None else cluster.spaces(spaces)
    return found if pods is None else who.both(found, Loads((), tuple(label_conditions(pods))))


def label_conditions(wanted: Field) -> list[Condition]:
    """matchLabels and matchExpressions, all of which must hold; none of `{}`."""
    wanted.only("matchLabels", "matchExpressions")
    equal = wanted.get("matchLabels")
    out = [Condition(key, "In", (value,)) for key, value in equal.texts().items()] if equal is not None else []
    for one in wanted.listed("matchExpressions"):
        one.only("key", "operator", "values")
        operator = one.need("operator").word(*_OPERATORS)
        values = tuple(value.text() for value in one.listed("values"))
        if bool(values) != (operator in ("In", "NotIn")):
            raise one.wrong(f"`{operator}` {'takes no' if values else 'needs'} values")
        out.append(Condition(one.need("key").text(), operator, values))
    return out


def cidr(one: Field) -> str:
    """A prefix in a field."""
    try:
        return who.prefix(one.text())
    except ValueError as error:
        if isinstance(error, Refusal):
            raise
        raise one.wrong(str(error)) from None


def _by_name(condition: Condition) -> Who:
    match condition.operator:
        case "In":
            return Loads(condition.values)
        case "NotIn":
            return who.minus(PODS, Loads(condition.values))
        case "Exists":
            return PODS
        case _:
            return NOBODY


def _port(protocol: str, number: int) -> Services:
    return port_range(PORTED[protocol], number, number)


def _pod(found: Object) -> Pod | None:
    """None where it has no addresses of its own."""
    body = found.body
    spec, status = body.need("spec"), body.get("status")
    shared = spec.get("hostNetwork")
    if shared is not None and shared.truth():
        return None
    labels = body.need("metadata").get("labels")
    named: dict[tuple[str, str], int] = {}
    for container in (*spec.listed("containers"), *spec.listed("initContainers")):
        for one in container.listed("ports"):
            if (name := one.get("name")) is not None:
                protocol = one.get("protocol")
                key = name.text(), protocol.word(*PORTED) if protocol is not None else "TCP"
                named.setdefault(key, one.need("containerPort").number(1, 65535))
    ips = [cidr(ip.need("ip")) for ip in status.listed("podIPs")] if status is not None else []
    return Pod(labels.texts() if labels is not None else {}, found.namespace or "default", tuple(ips), named)


def _is(pod: Pod, wanted: Who) -> bool:
    """Whether a pod of the input is meant."""
    if isinstance(wanted, Nets):
        held = [address(ip) for ip in pod.ips]
        return any(at in prefix(text) for text in wanted.prefixes for at in held)
    if isinstance(wanted, Loads):
        selector = Selector(conditions=wanted.conditions, namespaces=wanted.namespaces, kinds=wanted.kinds)
        return means(selector, Workload(pod.labels, pod.namespace, kind="pod"))
    if isinstance(wanted, who.Minus):
        return _is(pod, wanted.whole) and not _is(pod, wanted.less)
    parts: Iterable[bool] = (_is(pod, part) for part in wanted.parts)
    return any(parts) if isinstance(wanted, who.Union) else all(parts)
