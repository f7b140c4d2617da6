"""Calico's policies mean what they mean there, against an evaluator that knows nothing of our rules; and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.policy.foreign import judging
from tests.policy.foreign.judging import NAMESPACES, PORTS, PROTOS, Conn, Place, inside
from workbench.errors import PolicyError
from workbench.policy.foreign.calico_selector import SelectorError, holds, parse
from workbench.policy.foreign.registry import import_policy

API = "projectcalico.org/v3"

#: (labels, namespace, nets) of network sets; a namespace of '' is global.
SETS = [
    ("edge", {"net": "edge"}, "", ["192.168.0.0/24"]),
    ("lab", {"net": "lab", "app": "web"}, "prod", ["192.168.1.0/24", "::/0"]),
]


def objects() -> list[dict[str, Any]]:
    out = [*judging.namespaces()]
    for name, labels, namespace, nets in SETS:
        meta = {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}
        kind = "NetworkSet" if namespace else "GlobalNetworkSet"
        out.append({"apiVersion": API, "kind": kind, "metadata": meta, "spec": {"nets": nets}})
    for name, order, action in (("first", 10, "Deny"), ("loose", 20.5, "Pass")):
        spec = {"order": order, "defaultAction": action}
        out.append({"apiVersion": API, "kind": "Tier", "metadata": {"name": name}, "spec": spec})
    return out


# -- selectors: a tree, its text, and whether it holds ------------------------------------------------

Tree = tuple[Any, ...]


def text_of(tree: Tree) -> str:
    match tree:
        case ("all" | "global" as word,):
            return f"{word}()"
        case ("has", key):
            return f"has({key})"
        case ("==" | "!=" as op, key, value):
            return f"{key} {op} '{value}'"
        case ("in" | "not in" as op, key, values):
            return f"{key} {op} {{{', '.join(f'{chr(34)}{v}{chr(34)}' for v in values)}}}"
        case ("!", part):
            return f"!({text_of(part)})"
        case (op, one, other):
            return f"({text_of(one)} {op} {text_of(other)})"
    raise AssertionError(tree)


def true_of(tree: Tree, labels: dict[str, str]) -> bool:
    match tree:
        case ("all",):
            return True
        case ("has", key):
            return key in labels
        case ("==", key, value):
            return labels.get(key) == value
        case ("!=", key, value):
            return labels.get(key) != value
        case ("in", key, values):
            return labels.get(key) in values
        case ("not in", key, values):
            return labels.get(key) not in values
        case ("!", part):
            return not true_of(part, labels)
        case ("&&", one, other):
            return true_of(one, labels) and true_of(other, labels)
        case (_, one, other):
            return true_of(one, labels) or true_of(other, labels)
    raise AssertionError(tree)


def trees(keys: dict[str, list[str]]) -> st.SearchStrategy[Tree]:
    def one(key: str) -> st.SearchStrategy[Tree]:
        value = st.sampled_from(keys[key])
        values = st.lists(value, min_size=1, max_size=2, unique=True).map(tuple)
        return st.one_of(
            st.tuples(st.just("has"), st.just(key)),
            st.tuples(st.sampled_from(["==", "!="]), st.just(key), value),
            st.tuples(st.sampled_from(["in", "not in"]), st.just(key), values),
        )

    leaves = st.one_of(st.just(("all",)), st.sampled_from(sorted(keys)).flatmap(one))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.tuples(st.just("!"), inner), st.tuples(st.sampled_from(["&&", "||"]), inner, inner)),
        max_leaves=3,
    )


PODS = trees(
    {"app": ["web", "db"], "tier": ["front", "back"], "projectcalico.org/namespace": ["prod", "dev"], "net": ["edge", "lab"]}
)
SPACES = trees({"env": ["prod", "dev"], "projectcalico.org/name": ["prod", "ops"]})


@given(PODS, st.dictionaries(st.sampled_from(["app", "tier", "net"]), st.sampled_from(["web", "front", "lab"])))
def test_selectors_are_read_as_they_are_written(tree: Tree, labels: dict[str, str]) -> None:
    assert holds(parse(text_of(tree)), labels, "") == true_of(tree, labels)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app", "needs ==, !=, in or not in"),
        ("app == web", "a value in quotes"),
        ("app == 'web' tier == 'x'", "one word too many"),
        ("(app == 'a'", "ends where ) belongs"),
        ("app in {'a' 'b'}", "where } belongs"),
        ("app starts with 'a'", "compares parts of a value"),
        ("app == 'a' & b", "is no part of a selector"),
        ("app == 'it", "is no part of a selector"),
        ("!" * 40 + "all()", "levels deep"),
        ("(" * 9000, "levels deep"),
        ("a == 'x' || " * 2000, "more than 16384 characters"),
    ],
    ids=map(str, range(11)),
)
def test_what_is_no_selector_is_said(text: str, said: str) -> None:
    with pytest.raises(SelectorError, match=said.replace("(", r"\(").replace(")", r"\)").replace("}", r"\}")):
        parse(text)


# -- what policies mean ----------------------------------------------------------------------------------


def is_pod(tree: Tree | None, spaces: Tree | None, place: Place) -> bool:
    if place.kind != "pod":
        return False
    own = {**place.labels, "projectcalico.org/namespace": place.namespace}
    return (tree is None or true_of(tree, own)) and (spaces is None or is_space(spaces, place.namespace))


def is_space(tree: Tree, name: str) -> bool:
    return true_of(tree, {**NAMESPACES[name], "projectcalico.org/name": name})


def in_sets(tree: Tree | None, spaces: Tree | None, own: str, place: Place) -> bool:
    """Whether an address is in a network set that is meant. own: '' for any."""
    for _, labels, namespace, nets in SETS:
        if own and namespace != own:
            continue
        if spaces is not None and (
            spaces != ("global",) if not namespace else spaces == ("global",) or not is_space(spaces, namespace)
        ):
            continue
        every = {**labels, **({"projectcalico.org/namespace": namespace} if namespace else {})}
        if (tree is None or true_of(tree, every)) and any(inside(place.ip, net) for net in nets):
            return True
    return False


def is_entity(said: dict[str, Any], own: str, place: Place) -> bool:
    tree, spaces = said.get("selector"), said.get("namespaceSelector")
    if said.get("nets") and not any(inside(place.ip, net) for net in said["nets"]):
        return False
    if any(inside(place.ip, net) for net in said.get("notNets", [])):
        return False
    if spaces is not None:
        pods = spaces != ("global",) and is_pod(tree, spaces, place)
        if not pods and not in_sets(tree, spaces, "", place):
            return False
    elif (
        tree is not None
        and not (is_pod(tree, None, place) and own in ("", place.namespace))
        and not in_sets(tree, None, own, place)
    ):
        return False
    outside = said.get("notSelector")
    return outside is None or not (is_pod(outside, None, place) or in_sets(outside, None, "", place))


def port_in(listed: list[Any], port: int) -> bool:
    spans = [str(one).split(":") for one in listed]
    return any(int(span[0]) <= port <= int(span[-1]) for span in spans)


def is_service(rule: dict[str, Any], conn: Conn) -> bool:
    numbers = {**PROTOS, "ICMP": 1}
    if "protocol" in rule and numbers.get(rule["protocol"], rule["protocol"]) != conn.proto:
        return False
    if "notProtocol" in rule and numbers.get(rule["notProtocol"], rule["notProtocol"]) == conn.proto:
        return False
    if "icmp" in rule and rule["icmp"]["type"] != conn.port:
        return False
    if "notICMP" in rule and rule["notICMP"]["type"] == conn.port:
        return False
    said = rule.get("destination", {})
    if said.get("ports") and not port_in(said["ports"], conn.port):
        return False
    return not (said.get("notPorts") and port_in(said["notPorts"], conn.port))


def side_accepts(policies: list[dict[str, Any]], conn: Conn, side: str) -> bool:
    mine = conn.dst if side == "ingress" else conn.src
    for tier, action in (("first", "Deny"), ("loose", "Pass"), ("default", "Deny")):
        here = [p for p in policies if p["spec"].get("tier", "default") == tier]
        here.sort(key=lambda p: (p["spec"].get("order", float("inf")), p["metadata"]["name"]))
        selected, said = False, None
        for policy in here:
            spec, own = policy["spec"], policy["metadata"].get("namespace", "")
            types = spec.get("types") or (
                ["Ingress"] if not spec.get("egress") else ["Ingress", "Egress"] if spec.get("ingress") else ["Egress"]
            )
            chosen = is_pod(spec.get("selector"), spec.get("namespaceSelector"), mine) and own in ("", mine.namespace)
            if side.capitalize() not in types or not chosen:
                continue
            selected = True
            for rule in spec.get(side, []):
                if said is None and rule["action"] != "Log" and is_match(rule, own, conn):
                    said = rule["action"]
        said = said or (action if selected else "Pass")
        if said != "Pass":
            return bool(said == "Allow")
    return True


def is_match(rule: dict[str, Any], own: str, conn: Conn) -> bool:
    if "ipVersion" in rule and (":" in conn.src.ip) != (rule["ipVersion"] == 6):
        return False
    ends = is_entity(rule.get("source", {}), own, conn.src) and is_entity(rule.get("destination", {}), own, conn.dst)
    return ends and is_service(rule, conn)


# -- policies at random, selectors as trees -----------------------------------------------------------------


@st.composite
def entities(draw: st.DrawFn) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key in draw(
        st.lists(st.sampled_from(["nets", "notNets", "selector", "notSelector", "namespaceSelector"]), max_size=2, unique=True)
    ):
        if key in ("nets", "notNets"):
            out[key] = draw(st.lists(st.sampled_from(judging.CIDRS), min_size=1, max_size=2))
        else:
            out[key] = draw(PODS if key != "namespaceSelector" else st.one_of(st.just(("global",)), st.just(("all",)), POSITIVE))
    return out


#: Conditions on labels of namespaces that no set of none can meet: others are refused beside such sets.
POSITIVE = st.sampled_from(
    [
        ("has", "env"),
        ("==", "env", "prod"),
        ("in", "projectcalico.org/name", ("dev", "ops")),
        ("&&", ("has", "env"), ("!=", "team", "a")),
    ]
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    out: dict[str, Any] = {"action": draw(st.sampled_from(["Allow", "Allow", "Deny", "Pass", "Log"]))}
    for key in ("source", "destination"):
        if draw(st.booleans()):
            out[key] = draw(entities())
    protocol = draw(st.sampled_from([None, "TCP", "UDP", "ICMP", 47, "not"]))
    if protocol == "not":
        out["notProtocol"] = draw(st.sampled_from(["TCP", "ICMP", 47]))
    elif protocol is not None:
        out["protocol"] = protocol
    if protocol == "ICMP" and draw(st.booleans()):
        out[draw(st.sampled_from(["icmp", "notICMP"]))] = {"type": draw(st.sampled_from([0, 8]))}
    if protocol in ("TCP", "UDP") and draw(st.booleans()):
        ports = draw(st.lists(st.one_of(st.sampled_from(PORTS), st.sampled_from(["80:81", "1:79"])), min_size=1, max_size=2))
        out.setdefault("destination", {})[draw(st.sampled_from(["ports", "notPorts"]))] = ports
    if draw(st.integers(0, 5)) == 0:
        out["ipVersion"] = draw(st.sampled_from([4, 6]))
    return out


@st.composite
def policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    out = []
    for n in range(draw(st.integers(1, 4))):
        spec: dict[str, Any] = {}
        if draw(st.booleans()):
            spec["selector"] = draw(PODS)
        wide = draw(st.booleans())
        if wide and draw(st.booleans()):
            spec["namespaceSelector"] = draw(SPACES)
        if draw(st.booleans()):
            spec["order"] = draw(st.sampled_from([1, 2, 2.5]))
        if draw(st.booleans()):
            spec["tier"] = draw(st.sampled_from(["first", "loose", "default"]))
        for side in ("ingress", "egress"):
            if found := draw(st.lists(rules(), max_size=2)):
                spec[side] = found
        if draw(st.integers(0, 3)) == 0:
            spec["types"] = draw(st.lists(st.sampled_from(["Ingress", "Egress"]), unique=True))
        meta = {"name": f"c{n}", **({} if wide else {"namespace": draw(st.sampled_from(sorted(NAMESPACES)))})}
        kind = "GlobalNetworkPolicy" if wide else "NetworkPolicy"
        out.append(
            {"apiVersion": draw(st.sampled_from([API, "crd.projectcalico.org/v1"])), "kind": kind, "metadata": meta, "spec": spec}
        )
    return out


def written(value: Any) -> Any:
    """With selectors as their text."""
    if isinstance(value, tuple):
        return text_of(value)
    if isinstance(value, dict):
        return {key: written(one) for key, one in value.items()}
    return [written(one) for one in value] if isinstance(value, list) else value


@settings(max_examples=80)
@given(policies(), judging.conns())
def test_calico_policies_judge_as_calico_does(found: list[dict[str, Any]], conns: list[Conn]) -> None:
    ours = judging.imported("calico", [*map(written, found), *objects()])
    for conn in conns:
        assert judging.allowed(ours, conn) == all(side_accepts(found, conn, side) for side in ("egress", "ingress")), conn


# -- what is refused -------------------------------------------------------------------------------------------


def told(spec: dict[str, Any], kind: str = "GlobalNetworkPolicy", *more: dict[str, Any]) -> str:
    meta = {"name": "a", **({} if kind.startswith("Global") else {"namespace": "prod"})}
    first = {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec}
    with pytest.raises(PolicyError) as caught:
        import_policy("auto", [("f.json", "\n---\n".join(map(json.dumps, (first, *more))))])
    return caught.value.message


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"serviceAccountSelector": "all()"}, "spec.serviceAccountSelector: `serviceAccountSelector` cannot be imported"),
        ({"doNotTrack": True}, "spec.doNotTrack"),
        ({"preDNAT": True}, "spec.preDNAT"),
        ({"applyOnForward": True}, "spec.applyOnForward"),
        ({"tier": "mine"}, "spec.tier: `mine`: give the Tier object"),
        ({"order": "soon"}, "spec.order: a number belongs here"),
        ({"order": "nan"}, "spec.order: a number belongs here"),
        ({"selector": "app contains 'x'"}, "spec.selector: `app contains` compares parts"),
        ({"selector": "projectcalico.org/name == 'x'"}, "no label that pods have"),
        ({"namespaceSelector": "env == 'x'"}, "spec.namespaceSelector: labels of namespaces"),
        ({"stagedAction": "Set"}, "`stagedAction` is not known here"),
        ({"ingress": [{"action": "Allow", "source": {"ports": [1]}}]}, "spec.ingress[0].source.ports: `ports` cannot"),
        ({"ingress": [{"action": "Allow", "source": {"serviceAccounts": {}}}]}, "spec.ingress[0].source.serviceAccounts"),
        ({"ingress": [{"action": "Allow", "destination": {"services": {}}}]}, "spec.ingress[0].destination.services"),
        ({"ingress": [{"action": "Allow", "http": {}}]}, "spec.ingress[0].http"),
        ({"ingress": [{"action": "Allow", "protocol": "ICMP", "icmp": {"type": 8, "code": 0}}]}, "spec.ingress[0].icmp.code"),
        ({"ingress": [{"action": "Allow", "icmp": {"type": 8}}]}, "spec.ingress[0].icmp: needs protocol"),
        ({"ingress": [{"action": "Allow", "destination": {"ports": [80]}}]}, "ports[0]: needs protocol TCP, UDP or SCTP"),
        (
            {"ingress": [{"action": "Allow", "protocol": "TCP", "destination": {"ports": ["http"]}}]},
            "`http` is the name of a port",
        ),
        ({"ingress": [{"action": "Allow", "protocol": "TCP", "destination": {"notPorts": ["http"]}}]}, "is the name of a port"),
        ({"ingress": [{"action": "Allow", "protocol": "TCP", "destination": {"ports": ["9:1"]}}]}, "`9:1` is no range"),
        ({"ingress": [{"action": "allow"}]}, "`allow` is none of Allow, Deny, Pass, Log; the nearest is `Allow`"),
        ({"ingress": [{"action": "Allow", "ipVersion": 5}]}, "is neither 4 nor 6"),
    ],
)
def test_what_cannot_be_imported_names_its_field(spec: dict[str, Any], said: str) -> None:
    assert said in told(spec)


@pytest.mark.parametrize("kind", ["StagedNetworkPolicy", "StagedGlobalNetworkPolicy", "HostEndpoint"])
def test_what_is_not_in_force_or_about_hosts_is_refused(kind: str) -> None:
    assert f"{kind} of {API} is not imported" in told({}, kind)


def test_orders_that_two_share_are_refused_where_names_do_not_tell() -> None:
    other = {
        "apiVersion": API,
        "kind": "NetworkPolicy",
        "metadata": {"name": "default.a", "namespace": "prod"},
        "spec": {"order": 1},
    }
    assert "GlobalNetworkPolicy a has this order and name too" in told({"order": 1}, "GlobalNetworkPolicy", other)


def test_sets_of_no_namespace_and_labels_of_namespaces_are_refused() -> None:
    nets = {"apiVersion": API, "kind": "GlobalNetworkSet", "metadata": {"name": "g"}, "spec": {"nets": ["9.9.9.9/32"]}}
    spec = {"ingress": [{"action": "Allow", "source": {"namespaceSelector": "projectcalico.org/name != 'x'"}}]}
    assert "whether this means GlobalNetworkSet g, which is in no namespace" in told(spec, "GlobalNetworkPolicy", nets)


def test_the_lower_order_comes_first_and_then_the_name() -> None:
    def policy(name: str, action: str, **more: Any) -> dict[str, Any]:
        spec = {"selector": "app == 'web'", "ingress": [{"action": action}], **more}
        return {"apiVersion": API, "kind": "GlobalNetworkPolicy", "metadata": {"name": name}, "spec": spec}

    web = Conn(judging.OTHERS[1], judging.PODS[0], 6, 80)
    for first, second, verdict in (
        (policy("b", "Deny", order=1), policy("a", "Allow", order="1.5"), False),
        (policy("b", "Deny"), policy("a", "Allow", order=9), True),
        (policy("b", "Deny"), policy("a", "Allow"), True),
        (policy("default.b", "Deny"), policy("c", "Allow"), False),
    ):
        for both in ([first, second], [second, first]):
            assert judging.allowed(judging.imported("calico", both), web) is verdict
