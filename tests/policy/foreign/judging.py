"""A small cluster made at random, and how a policy that was imported judges what happens in it."""

from __future__ import annotations

import ipaddress
import json
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from workbench.policy.addresses import address
from workbench.policy.contradictions import contradictions
from workbench.policy.foreign.registry import import_policy
from workbench.policy.loader import load
from workbench.policy.members import Workload
from workbench.policy.naive import End, Packet, judge
from workbench.policy.resolved import resolve
from workbench.policy.written import text_of

NAMESPACES = {"prod": {"env": "prod", "team": "a"}, "dev": {"env": "dev"}, "ops": {}}
NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Place:
    """One end: a pod of a namespace, a node, or an address outside."""

    ip: str
    kind: str = ""
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def end(self) -> End:
        known = Workload(self.labels, self.namespace, kind=self.kind)
        return End(address(self.ip), known)


PODS = [
    Place("10.0.0.1", "pod", "prod", {"app": "web"}),
    Place("10.0.0.2", "pod", "prod", {"app": "db", "tier": "back"}),
    Place("10.0.0.3", "pod", "prod", {}),
    Place("10.0.1.1", "pod", "dev", {"app": "web", "tier": "front"}),
    Place("10.0.1.2", "pod", "dev", {"tier": "back"}),
    Place("10.1.0.1", "pod", "ops", {"app": "web"}),
    Place("fd00::1", "pod", "prod", {"app": "web"}),
    Place("fd00::2", "pod", "dev", {"app": "db"}),
]
OTHERS = [
    Place("10.0.9.1", "node", "", {"app": "web", "zone": "x"}),
    Place("192.168.0.1"),
    Place("192.168.1.1"),
    Place("8.8.8.8"),
    Place("2001:db8::1"),
    Place("10.0.0.99", "service", "prod", {"app": "web"}),
]
CIDRS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.2/32", "192.168.0.0/16", "192.168.1.0/24", "0.0.0.0/0", "::/0", "fd00::/64"]

#: What packets and rules are about: protocol, and port or type.
PROTOS = {"TCP": 6, "UDP": 17, "SCTP": 132}
PORTS = [79, 80, 81, 443, 8080]


@dataclass(frozen=True)
class Conn:
    """A connection. port: of ICMP the type."""

    src: Place
    dst: Place
    proto: int
    port: int


@st.composite
def conns(draw: st.DrawFn) -> list[Conn]:
    """Between different ends of one family: what a pod says to itself never crosses a network."""
    dice = random.Random(draw(st.integers(0, 1 << 32)))
    out = []
    while len(out) < 30:
        src, dst = (dice.choice(dice.choice([PODS, PODS, OTHERS])) for _ in range(2))
        if src.ip != dst.ip and (":" in src.ip) == (":" in dst.ip):
            proto = dice.choice([6, 6, 6, 17, 132, 1, 47])
            out.append(Conn(src, dst, proto, dice.choice(PORTS if proto != 1 else [0, 3, 8])))
    return out


def namespaces() -> list[dict[str, Any]]:
    """The Namespace objects."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": lb}} for n, lb in NAMESPACES.items()]


def inside(ip: str, cidr: str) -> bool:
    net = ipaddress.ip_network(cidr, strict=False)
    return ipaddress.ip_address(ip).version == net.version and ipaddress.ip_address(ip) in net


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Kubernetes' label selectors, as their documentation says them."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for one in selector.get("matchExpressions", []):
        there, value = one["key"] in labels, labels.get(one["key"])
        met = {
            "In": there and value in one.get("values", []),
            "NotIn": not (there and value in one.get("values", [])),
            "Exists": there,
            "DoesNotExist": not there,
        }[one["operator"]]
        if not met:
            return False
    return True


def selectors(keys: dict[str, list[str]]) -> st.SearchStrategy[dict[str, Any]]:
    """Selectors over these keys and values."""

    @st.composite
    def made(draw: st.DrawFn) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if draw(st.booleans()):  # everybody: else rules of different policies rarely meet
            return out
        for key in draw(st.lists(st.sampled_from(sorted(keys)), max_size=2, unique=True)):
            if draw(st.booleans()):
                out.setdefault("matchLabels", {})[key] = draw(st.sampled_from(keys[key]))
                continue
            operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]))
            one: dict[str, Any] = {"key": key, "operator": operator}
            if "In" in operator:
                one["values"] = draw(st.lists(st.sampled_from(keys[key]), min_size=1, max_size=2, unique=True))
            out.setdefault("matchExpressions", []).append(one)
        return out

    return made()


POD_KEYS = {"app": ["web", "db"], "tier": ["front", "back"]}
SPACE_KEYS = {"env": ["prod", "dev"], "team": ["a"], NAME: ["prod", "dev", "ops"]}


def imported(form: str, objects: list[dict[str, Any]]) -> Any:
    """What they are imported as, through the text that is written; nothing in it is left to chance."""
    text = "\n---\n".join(json.dumps(one) for one in objects)
    found = import_policy(form, [("f.yaml", text)])
    policy = load([("out.yaml", text_of(found.policy, found.notes))]).policy
    assert policy == found.policy
    assert not contradictions(resolve(policy))
    assert set(found.notes) - {""} == {rule.name for rule in policy.rules}
    return policy


def allowed(policy: Any, conn: Conn) -> bool:
    """What our plain evaluator says."""
    sport = conn.port if conn.proto == 1 else 40000
    packet = Packet(conn.src.end(), conn.dst.end(), conn.proto, sport, 0 if conn.proto == 1 else conn.port)
    return judge(policy, packet).verdict == "allow"
