"""NetworkPolicies and ClusterNetworkPolicies mean what they mean there, against evaluators that know nothing of our rules."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.policy.foreign import judging
from tests.policy.foreign.judging import NAME, NAMESPACES, PORTS, PROTOS, Conn, Place, inside, selects

# -- what they mean, from the definitions of the API ------------------------------------------------


def pod_peer(namespace_selector: dict[str, Any] | None, pod_selector: dict[str, Any] | None, own: str, place: Place) -> bool:
    if place.kind != "pod":
        return False
    if namespace_selector is None:
        spaces = place.namespace == own
    else:
        spaces = selects(namespace_selector, {**NAMESPACES[place.namespace], NAME: place.namespace})
    return spaces and (pod_selector is None or selects(pod_selector, place.labels))


def np_peer(peer: dict[str, Any], own: str, place: Place) -> bool:
    if block := peer.get("ipBlock"):
        return inside(place.ip, block["cidr"]) and not any(inside(place.ip, e) for e in block.get("except", []))
    return pod_peer(peer.get("namespaceSelector"), peer.get("podSelector"), own, place)


def np_port(port: dict[str, Any], conn: Conn) -> bool:
    if PROTOS[port.get("protocol", "TCP")] != conn.proto:
        return False
    return "port" not in port or port["port"] <= conn.port <= port.get("endPort", port["port"])


def np_direction(policies: list[dict[str, Any]], conn: Conn, side: str) -> bool | None:
    """None where no policy selects the end whose side it is."""
    mine, other = (conn.dst, conn.src) if side == "ingress" else (conn.src, conn.dst)
    found = None
    for policy in policies:
        spec, own = policy["spec"], policy["metadata"]["namespace"]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        if side.capitalize() not in types or not pod_peer(None, spec["podSelector"], own, mine):
            continue
        found = found or False
        for rule in spec.get(side) or []:
            peers, ports = rule.get("from" if side == "ingress" else "to"), rule.get("ports")
            if (not peers or any(np_peer(p, own, other) for p in peers)) and (not ports or any(np_port(p, conn) for p in ports)):
                found = True
    return found


def cnp_peer(peer: dict[str, Any], place: Place) -> bool:
    ((key, said),) = peer.items()
    if key == "namespaces":
        return pod_peer(said, None, "", place)
    if key == "pods":
        return pod_peer(said["namespaceSelector"], said["podSelector"], "", place)
    if key == "nodes":
        return place.kind == "node" and selects(said, place.labels)
    return any(inside(place.ip, net) for net in said)


def cnp_protocol(said: dict[str, Any], conn: Conn) -> bool:
    ((key, value),) = said.items()
    if key == "portNumber":
        return PROTOS[value["protocol"]] == conn.proto and value["port"] == conn.port
    if key == "portRange":
        return PROTOS[value["protocol"]] == conn.proto and value["start"] <= conn.port <= value["end"]
    if PROTOS[key.upper()] != conn.proto:
        return False
    port = value.get("destinationPort")
    if port is None:
        return True
    return port["number"] == conn.port if "number" in port else port["range"]["start"] <= conn.port <= port["range"]["end"]


def cnp_tier(policies: list[dict[str, Any]], conn: Conn, side: str, tier: str) -> str:
    mine, other = (conn.dst, conn.src) if side == "ingress" else (conn.src, conn.dst)
    said = {"AdminNetworkPolicy": "Admin", "BaselineAdminNetworkPolicy": "Baseline"}
    here = [p for p in policies if said.get(p["kind"], p["spec"].get("tier")) == tier]
    for policy in sorted(here, key=lambda p: p["spec"].get("priority", 0)):
        if not cnp_peer(policy["spec"]["subject"], mine):
            continue
        for rule in policy["spec"].get(side, []):
            protocols = rule.get("protocols", rule.get("ports"))
            peers = rule["from" if side == "ingress" else "to"]
            matched = any(cnp_peer(p, other) for p in peers)
            if matched and (protocols is None or any(cnp_protocol(p, conn) for p in protocols)):
                return str(rule["action"])
    return "Pass"


def side_accepts(nps: list[dict[str, Any]], cnps: list[dict[str, Any]], conn: Conn, side: str) -> bool:
    if (first := cnp_tier(cnps, conn, side, "Admin")) != "Pass":
        return first != "Deny"
    if (second := np_direction(nps, conn, side)) is not None:
        return second
    return cnp_tier(cnps, conn, side, "Baseline") != "Deny"


def accepts(nps: list[dict[str, Any]], cnps: list[dict[str, Any]], conn: Conn) -> bool:
    return all(side_accepts(nps, cnps, conn, side) for side in ("egress", "ingress"))


# -- policies at random -----------------------------------------------------------------------------

POD_SELECTORS = judging.selectors(judging.POD_KEYS)
SPACE_SELECTORS = judging.selectors(judging.SPACE_KEYS)


@st.composite
def np_peers(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["pods", "spaces", "both", "block"]))
    if kind == "block":
        out: dict[str, Any] = {"cidr": draw(st.sampled_from(judging.CIDRS))}
        if draw(st.booleans()):
            out["except"] = draw(st.lists(st.sampled_from(judging.CIDRS), max_size=2))
        return {"ipBlock": out}
    said = {}
    if kind != "spaces":
        said["podSelector"] = draw(POD_SELECTORS)
    if kind != "pods":
        said["namespaceSelector"] = draw(SPACE_SELECTORS)
    return said


@st.composite
def np_ports(draw: st.DrawFn) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if draw(st.booleans()):
        out["protocol"] = draw(st.sampled_from(sorted(PROTOS)))
    if draw(st.booleans()):
        out["port"] = draw(st.sampled_from(PORTS))
        if draw(st.booleans()):
            out["endPort"] = draw(st.integers(out["port"], 9000))
    return out


@st.composite
def network_policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    out = []
    for n in range(draw(st.integers(0, 3))):
        spec: dict[str, Any] = {"podSelector": draw(POD_SELECTORS)}
        for side, peers in (("ingress", "from"), ("egress", "to")):
            if draw(st.booleans()):
                rules = []
                for _ in range(draw(st.integers(0, 2))):
                    rule = {}
                    if draw(st.booleans()):
                        rule[peers] = draw(st.lists(np_peers(), max_size=2))
                    if draw(st.booleans()):
                        rule["ports"] = draw(st.lists(np_ports(), max_size=2))
                    rules.append(rule)
                spec[side] = rules
        if draw(st.booleans()):
            spec["policyTypes"] = draw(st.lists(st.sampled_from(["Ingress", "Egress"]), unique=True))
        meta = {"name": f"np{n}", "namespace": draw(st.sampled_from(sorted(NAMESPACES)))}
        out.append({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec})
    return out


@st.composite
def cluster_subjects(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"namespaces": draw(SPACE_SELECTORS)}
    return {"pods": {"namespaceSelector": draw(SPACE_SELECTORS), "podSelector": draw(POD_SELECTORS)}}


@st.composite
def cluster_peers(draw: st.DrawFn, egress: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(["pods", "pods", "nodes", "networks"])) if egress else "pods"
    if kind == "nodes":
        return {"nodes": draw(judging.selectors({"zone": ["x", "y"]}))}
    if kind == "networks":
        return {"networks": draw(st.lists(st.sampled_from(judging.CIDRS), min_size=1, max_size=2, unique=True))}
    return draw(cluster_subjects())


@st.composite
def cluster_protocols(draw: st.DrawFn, old: bool) -> dict[str, Any]:
    protocol, port = draw(st.sampled_from(sorted(PROTOS))), draw(st.sampled_from(PORTS))
    end = draw(st.integers(port, 9000))
    if old:
        one = {"portNumber": {"protocol": protocol, "port": port}}
        return draw(st.sampled_from([one, {"portRange": {"protocol": protocol, "start": port, "end": end}}]))
    said = [{}, {"destinationPort": {"number": port}}, {"destinationPort": {"range": {"start": port, "end": end}}}]
    return {protocol.lower(): draw(st.sampled_from(said))}


@st.composite
def cluster_policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    out = []
    for n in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["ClusterNetworkPolicy", "ClusterNetworkPolicy", "AdminNetworkPolicy"]))
        if n == 0 and draw(st.booleans()):
            kind = "BaselineAdminNetworkPolicy"
        old, baseline = kind != "ClusterNetworkPolicy", kind.startswith("Baseline")
        accept = "Allow" if old else "Accept"
        spec: dict[str, Any] = {"subject": draw(cluster_subjects())}
        if not baseline:
            spec["priority"] = n + 1
        if not old:
            spec["tier"] = draw(st.sampled_from(["Admin", "Baseline"]))
        for side, peers in (("ingress", "from"), ("egress", "to")):
            rules = []
            for _ in range(draw(st.integers(0, 3))):
                rule: dict[str, Any] = {"action": draw(st.sampled_from([accept, "Deny", *([] if baseline else ["Pass"])]))}
                rule[peers] = draw(st.lists(cluster_peers(side == "egress"), min_size=1, max_size=2))
                if draw(st.booleans()):
                    rule["ports" if old else "protocols"] = draw(st.lists(cluster_protocols(old), min_size=1, max_size=2))
                rules.append(rule)
            if rules:
                spec[side] = rules
        version = f"policy.networking.k8s.io/v1alpha{1 if old else 2}"
        out.append({"apiVersion": version, "kind": kind, "metadata": {"name": f"c{n}"}, "spec": spec})
    return out


@settings(max_examples=60)
@given(network_policies().filter(bool), judging.conns())
def test_network_policies_judge_as_kubernetes_does(policies: list[dict[str, Any]], conns: list[Conn]) -> None:
    ours = judging.imported("kubernetes", [*policies, *judging.namespaces()])
    for conn in conns:
        assert judging.allowed(ours, conn) == accepts(policies, [], conn), conn


@settings(max_examples=80)
@given(network_policies(), cluster_policies().filter(bool), judging.conns())
def test_cluster_network_policies_judge_as_their_api_says(
    nps: list[dict[str, Any]], cnps: list[dict[str, Any]], conns: list[Conn]
) -> None:
    ours = judging.imported("auto", [*cnps, *nps, *judging.namespaces()])
    for conn in conns:
        assert judging.allowed(ours, conn) == accepts(nps, cnps, conn), conn
