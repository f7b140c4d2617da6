"""Cilium's policies mean what they mean there, against an evaluator that knows nothing of our rules; and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.policy.foreign import judging
from tests.policy.foreign.judging import NAMESPACES, PORTS, PROTOS, Conn, Place, inside, selects
from workbench.errors import PolicyError
from workbench.policy.foreign.registry import import_policy

SPACE = "io.kubernetes.pod.namespace"
SPACE_LABELS = "io.cilium.k8s.namespace.labels."

# -- what they mean --------------------------------------------------------------------------------


def plain(selector: dict[str, Any]) -> dict[str, Any]:
    """Without the sources of labels."""

    def key(text: str) -> str:
        return text.split(":", 1)[-1]

    return {
        "matchLabels": {key(k): v for k, v in selector.get("matchLabels", {}).items()},
        "matchExpressions": [{**one, "key": key(one["key"])} for one in selector.get("matchExpressions", [])],
    }


def is_endpoint(selector: dict[str, Any], own: str | None, place: Place) -> bool:
    if place.kind != "pod":
        return False
    said = plain(selector)
    keys = [*said["matchLabels"], *(one["key"] for one in said["matchExpressions"])]
    if own is not None and not any(k == SPACE or k.startswith(SPACE_LABELS) for k in keys) and place.namespace != own:
        return False
    labels = {**place.labels, SPACE: place.namespace}
    labels |= {SPACE_LABELS + k: v for k, v in NAMESPACES[place.namespace].items()}
    return selects(said, labels)


def is_peer(rule: dict[str, Any], prefix: str, own: str | None, place: Place) -> bool:
    lists = [rule[f"{prefix}{key}"] for key in ("Endpoints", "Entities", "CIDR", "CIDRSet") if f"{prefix}{key}" in rule]
    if not all(lists):
        return False
    if not lists:
        return True
    managed = place.kind in ("pod", "node")
    entities = rule.get(f"{prefix}Entities", [])
    return (
        any(is_endpoint(one, own, place) for one in rule.get(f"{prefix}Endpoints", []))
        or "all" in entities
        or ("world" in entities and not managed)
        or ("world-ipv4" in entities and not managed and ":" not in place.ip)
        or ("cluster" in entities and managed)
        or ("host" in entities and place.kind == "node")
        or (not managed and any(inside(place.ip, net) for net in rule.get(f"{prefix}CIDR", [])))
        or any(
            not managed and inside(place.ip, one["cidr"]) and not any(inside(place.ip, e) for e in one.get("except", []))
            for one in rule.get(f"{prefix}CIDRSet", [])
        )
    )


def is_service(rule: dict[str, Any], conn: Conn) -> bool:
    if "icmps" in rule:
        fields = [one for icmp in rule["icmps"] for one in icmp["fields"]]
        return any({"IPv4": 1, "IPv6": 58}[one["family"]] == conn.proto and one["type"] == conn.port for one in fields)
    if "toPorts" not in rule:
        return True
    for one in (port for ports in rule["toPorts"] for port in ports["ports"]):
        protocols = list(PROTOS.values()) if one.get("protocol", "ANY") == "ANY" else [PROTOS[one["protocol"]]]
        first = int(one["port"])
        if conn.proto in protocols and (first == 0 or first <= conn.port <= one.get("endPort", first)):
            return True
    return False


def side_accepts(policies: list[dict[str, Any]], conn: Conn, side: str) -> bool:
    mine, other = (conn.dst, conn.src) if side == "ingress" else (conn.src, conn.dst)
    prefix = "from" if side == "ingress" else "to"
    closed = accepted = False
    for policy in policies:
        spec, own = policy["spec"], policy["metadata"].get("namespace")
        if not is_endpoint(spec["endpointSelector"], own, mine) or (own is not None and mine.namespace != own):
            continue

        def matched(rule: dict[str, Any], own: str | None = own) -> bool:
            says = [key for key in rule if key.startswith(prefix) or key in ("toPorts", "icmps")]
            return bool(says) and is_peer(rule, prefix, own, other) and is_service(rule, conn)

        if any(matched(rule) for rule in spec.get(f"{side}Deny", [])):
            return False
        accepted |= any(matched(rule) for rule in spec.get(side, []))
        closed |= spec.get("enableDefaultDeny", {}).get(side, bool(spec.get(side) or spec.get(f"{side}Deny")))
    return accepted or not closed


# -- policies at random ------------------------------------------------------------------------------

OWN = judging.selectors({"app": ["web", "db"], "k8s:tier": ["front", "back"]})
PEERS = judging.selectors(
    {"any:app": ["web", "db"], "k8s:tier": ["front", "back"], f"k8s:{SPACE}": ["prod", "dev"], f"{SPACE_LABELS}env": ["prod"]}
)


@st.composite
def rules(draw: st.DrawFn, prefix: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from(["Endpoints", "Entities", "CIDR", "CIDRSet"]), max_size=2, unique=True)):
        if key == "Endpoints":
            out[f"{prefix}{key}"] = draw(st.lists(PEERS, max_size=2))
        elif key == "Entities":
            words = ["all", "world", "world-ipv4", "cluster", "none"]
            said = draw(st.lists(st.sampled_from(words), min_size=1, max_size=2, unique=True))
            out[f"{prefix}{key}"] = draw(st.sampled_from([said, ["host", "remote-node"]]))
        elif key == "CIDR":
            out[f"{prefix}{key}"] = draw(st.lists(st.sampled_from(judging.CIDRS), max_size=2))
        else:
            one = {
                "cidr": draw(st.sampled_from(judging.CIDRS)),
                "except": draw(st.lists(st.sampled_from(judging.CIDRS), max_size=2)),
            }
            out[f"{prefix}{key}"] = [one]
    what = draw(st.sampled_from(["all", "ports", "icmps"]))
    if what == "icmps":
        out["icmps"] = [
            {"fields": [{"family": draw(st.sampled_from(["IPv4", "IPv6"])), "type": draw(st.sampled_from([0, 3, 8]))}]}
        ]
    elif what == "ports":
        ports = []
        for _ in range(draw(st.integers(1, 2))):
            protocol = draw(st.sampled_from([*PROTOS, "ANY", None]))
            port: dict[str, Any] = {"protocol": protocol} if protocol else {}
            number = draw(st.sampled_from(PORTS if protocol in ("ANY", None) else [0, *PORTS]))
            if number and draw(st.booleans()):
                port["endPort"] = draw(st.integers(number, 9000))
            ports.append({**port, "port": str(number)})
        out["toPorts"] = [{"ports": ports}]
    return out


@st.composite
def policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    out = []
    for n in range(draw(st.integers(1, 3))):
        spec: dict[str, Any] = {"endpointSelector": draw(OWN)}
        for side, prefix in (("ingress", "from"), ("egress", "to")):
            for key in (side, f"{side}Deny"):
                if found := draw(st.lists(rules(prefix), max_size=2)):
                    spec[key] = found
        if len(spec) == 1:
            spec["ingress"] = [{}]
        if draw(st.booleans()):
            sides = draw(st.lists(st.sampled_from(["ingress", "egress"]), unique=True))
            spec["enableDefaultDeny"] = {side: draw(st.booleans()) for side in sides}
        wide = draw(st.booleans())
        meta = {"name": f"c{n}", **({} if wide else {"namespace": draw(st.sampled_from(sorted(NAMESPACES)))})}
        kind = "CiliumClusterwideNetworkPolicy" if wide else "CiliumNetworkPolicy"
        out.append({"apiVersion": "cilium.io/v2", "kind": kind, "metadata": meta, "spec": spec})
    return out


@settings(max_examples=80)
@given(policies(), judging.conns())
def test_cilium_policies_judge_as_cilium_does(found: list[dict[str, Any]], conns: list[Conn]) -> None:
    ours = judging.imported("cilium", [*found, *judging.namespaces()])
    for conn in conns:
        assert judging.allowed(ours, conn) == all(side_accepts(found, conn, side) for side in ("egress", "ingress")), conn


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"toFQDNs": [{"matchName": "a.b"}]}, "spec.egress[0].toFQDNs: `toFQDNs` cannot be imported"),
        ({"toServices": [{}]}, "spec.egress[0].toServices"),
        ({"toGroups": [{}]}, "spec.egress[0].toGroups"),
        ({"toNodes": [{}]}, "spec.egress[0].toNodes"),
        ({"toRequires": [{}]}, "spec.egress[0].toRequires"),
        ({"authentication": {"mode": "required"}}, "spec.egress[0].authentication"),
        ({"toEntities": ["host"]}, "spec.egress[0].toEntities[0]: `host` depends on where a pod runs"),
        ({"toEntities": ["kube-apiserver"]}, "spec.egress[0].toEntities[0]: `kube-apiserver` cannot be imported"),
        ({"toCIDRSet": [{"cidrGroupRef": "x"}]}, "spec.egress[0].toCIDRSet[0].cidrGroupRef: `x`: give the CiliumCIDRGroup"),
        ({"toCIDRSet": [{"cidrGroupSelector": {}}]}, "cidrGroupSelector"),
        ({"toEndpoints": [{"matchLabels": {"reserved:host": ""}}]}, "`reserved:host`: only labels of pods"),
        ({"toEndpoints": [{"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "x"}}]}, "no label that pods have"),
        ({"toPorts": [{"ports": [{"port": "80"}], "rules": {"http": [{}]}}]}, "spec.egress[0].toPorts[0].rules: `rules` cannot"),
        ({"toPorts": [{"ports": [{"port": "80"}], "serverNames": ["x"]}]}, "spec.egress[0].toPorts[0].serverNames"),
        ({"toPorts": [{"ports": [{"port": "0"}]}]}, "port 0 means every port"),
        ({"toPorts": [{"ports": [{"port": 80}]}]}, "text belongs here, not `80`"),
        ({"toPorts": [{"ports": [{"port": "http"}]}]}, "`http` is the name of a port"),
        ({"toPorts": []}, "spec.egress[0].toPorts: is empty"),
        ({"toPorts": [{"ports": [{"port": "80"}]}], "icmps": []}, "stands beside toPorts"),
        ({"icmps": [{"fields": [{"type": "Ecco"}]}]}, "`Ecco` is none of"),
        ({"toWhatever": []}, "`toWhatever` is not known here"),
    ],
)
def test_what_cannot_be_imported_names_its_field(rule: dict[str, Any], said: str) -> None:
    head = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "a", "namespace": "prod"}}
    with pytest.raises(PolicyError) as caught:
        import_policy("auto", [("f.json", json.dumps({**head, "spec": {"endpointSelector": {}, "egress": [rule]}}))])
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"nodeSelector": {}, "ingress": [{}]}, "spec.nodeSelector"),
        ({"endpointSelector": {}}, "neither ingress nor egress"),
        ({"endpointSelector": {"matchLabels": {f"k8s:{SPACE}": "dev"}}, "ingress": [{}]}, "is for its own pods"),
        ({"ingress": [{}]}, "spec.endpointSelector: missing"),
    ],
)
def test_what_cannot_be_imported_of_a_whole_policy(spec: dict[str, Any], said: str) -> None:
    head = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "a", "namespace": "prod"}}
    with pytest.raises(PolicyError) as caught:
        import_policy("cilium", [("f.json", json.dumps({**head, "spec": spec}))])
    assert said in caught.value.message


def test_a_group_of_prefixes_is_looked_up() -> None:
    group = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumCIDRGroup",
        "metadata": {"name": "g"},
        "spec": {"externalCIDRs": ["9.9.9.9/32"]},
    }
    spec = {"endpointSelector": {}, "egress": [{"toCIDRSet": [{"cidrGroupRef": "g"}]}]}
    head = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "a", "namespace": "prod"}}
    found = import_policy("auto", [("f.json", f"{json.dumps(group)}\n---\n{json.dumps({**head, 'spec': spec})}")])
    rule = found.policy.rules[0]
    assert found.policy.groups[rule.to[0]].cidr == ["9.9.9.9"]
    assert any("CiliumCIDRGroup g" in line for line in found.told)
