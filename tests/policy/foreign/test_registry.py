"""What is the same for every format: several documents and lists, hostile texts, mistakes with file, line and field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.policy.foreign import judging
from workbench.cli.policy_import import Foreign
from workbench.errors import PolicyError
from workbench.policy.foreign.registry import AUTO, FORMATS, import_policy

DOCS = Path(__file__).parents[3] / "docs" / "policy-import.md"

NP = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: prod}\n"
SPEC = "spec:\n  podSelector: {}\n  ingress:\n  - from:\n    - podSelector: {}\n"


def told(text: str, form: str = AUTO) -> str:
    with pytest.raises(PolicyError) as caught:
        import_policy(form, [("f.yaml", text)])
    return caught.value.message


def test_the_command_the_registry_and_the_page_know_the_same_formats() -> None:
    assert [one.value for one in Foreign] == [AUTO, *FORMATS]
    page = DOCS.read_text(encoding="utf-8")
    for name, form in FORMATS.items():
        assert f"`{name}`" in page
        assert form.CAUTION
        for (group, version), kinds in form.KINDS.items():
            assert f"{group}/{version}" in page
            for kind in kinds:
                assert re.search(rf"`{kind}`", page), kind


def test_documents_and_lists_are_objects_one_after_the_other() -> None:
    other = NP.replace("name: a", "name: b") + SPEC
    stream = import_policy(AUTO, [("f.yaml", f"---\n{NP}{SPEC}---\n# nothing\n---\n{other}")])
    one: dict[str, Any] = {"metadata": {"name": "a", "namespace": "prod"}}
    one["spec"] = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    two = {**one, "metadata": {"name": "b", "namespace": "prod"}}
    said = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "metadata": {}, "items": [one, two]}
    listed = import_policy(AUTO, [("l.json", json.dumps(said, indent=4))])
    assert stream.policy == listed.policy
    assert len(stream.policy.rules) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yaml:1: the file is empty"),
        ("a: &x 1\nb: *x\n", "anchors are not read"),
        (f"{NP}spec: !!map {{podSelector: {{}}}}\n", "f.yaml:4: `tag:yaml.org,2002:map`: tags are not read"),
        ("[" * 30 + "]" * 30, "levels deep"),
        (NP + SPEC + "---\n" + NP + SPEC, "f.yaml:10: NetworkPolicy prod/a is in f.yaml:1 already"),
        ("--- 7\n", "keys with values belong here"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "no policy here to import"),
        (f"{NP}{SPEC}  ingres: []\n", "f.yaml:9: spec.ingres: `ingres` is not known here"),
        (NP.replace(", namespace: prod", "") + SPEC, "f.yaml:3: metadata.namespace: missing"),
        (NP.replace("/v1", "/v2") + SPEC, "NetworkPolicy of networking.k8s.io/v2 is not imported"),
        (f"{NP}spec: {{ingress: []}}\n", "spec.podSelector: missing"),
        (f"{NP}spec: {{podSelector: null}}\n", "spec.podSelector: null: leave the key out"),
        (f"{NP}spec: {{podSelector: {{matchLabels: {{a: 1}}}}}}\n", "spec.podSelector.matchLabels.a: text belongs here, not `1`"),
        (NP + SPEC + "    ports: [{port: http}]\n", "f.yaml:9: spec.ingress[0].ports[0].port: `http` is the name of a port"),
        (NP + SPEC + "    ports: [{port: '80'}]\n", 'spec.ingress[0].ports[0].port: "80" in quotes'),
        (NP + SPEC + "    ports: [{port: 80, endPort: 79}]\n", "spec.ingress[0].ports[0].endPort: 79 is no number from 80"),
        (NP + SPEC + "    ports: [{protocol: ICMP}]\n", "`ICMP` is none of TCP, UDP, SCTP"),
        (NP + SPEC + "    - ipBlock: {cidr: 10.0.0.0/33}\n", "spec.ingress[0].from[1].ipBlock.cidr: `10.0.0.0/33` is no address"),
        (NP + SPEC + "    - {}\n", "spec.ingress[0].from[1]: names nobody"),
        (NP + SPEC + "    - namespaceSelector: {matchLabels: {env: prod}}\n", "from[1].namespaceSelector: labels of namespaces"),
        (NP + SPEC + "    - namespaceSelector: null\n", "from[1].namespaceSelector: null"),
    ],
)
def test_what_cannot_be_imported_names_its_field(text: str, said: str) -> None:
    assert said in told(text)


def test_mistakes_of_all_objects_are_told_at_once() -> None:
    other = NP.replace("name: a", "name: b")
    found = told(f"{NP}spec: {{podSelector: {{}}, x: 1}}\n---\n{other}spec: {{podSelector: {{}}, y: 1}}\n")
    assert "f.yaml:4: spec.x" in found
    assert "f.yaml:9: spec.y" in found


def test_names_of_ports_are_looked_up_in_pods() -> None:
    def pod(name: str, ip: str, port: int, app: str = "web") -> str:
        return json.dumps(
            {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "prod", "labels": {"app": app}},
                "spec": {"containers": [{"ports": [{"name": "http", "containerPort": port}]}]},
                "status": {"podIPs": [{"ip": ip}]},
            }
        )  # fmt: skip

    policy = NP + "spec:\n  podSelector: {matchLabels: {app: web}}\n  ingress:\n  - ports: [{port: http}]\n"
    one = import_policy(AUTO, [("f.yaml", f"{policy}---\n{pod('p', '10.0.0.1', 8080)}\n---\n{pod('q', '10.0.0.2', 1, 'db')}")])
    assert [(r.to, r.services) for r in one.policy.rules] == [(["prod-web"], ["tcp/8080"]), (["prod-web"], ["any"])]
    assert any("port http" in line for line in one.told)
    two = import_policy(AUTO, [("f.yaml", f"{policy}---\n{pod('p', '10.0.0.1', 8080)}\n---\n{pod('q', '10.0.0.2', 81)}")])
    assert [(r.services, two.policy.groups[r.to[0]].intersection) for r in two.policy.rules[:2]] == [
        (["tcp/81"], ["prod-web", "10.0.0.2"]),
        (["tcp/8080"], ["prod-web", "10.0.0.1"]),
    ]


def test_a_port_s_name_means_nothing_of_addresses_that_are_no_pod_s() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "prod"},
        "status": {"podIPs": [{"ip": "10.0.0.1"}]},
    }
    pod["spec"] = {"containers": [{"ports": [{"name": "http", "containerPort": 80}]}]}
    isolated = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": "dev"}}
    isolated["spec"] = {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": "http"}]}]}
    isolated["spec"]["policyTypes"] = ["Egress"]
    found = judging.imported("auto", [isolated, pod])
    dev = judging.PODS[3]
    told = [judging.allowed(found, judging.Conn(dev, dst, 6, 80)) for dst in (judging.PODS[0], *judging.OTHERS[1:4])]
    assert told == [True, False, False, False]


def cluster(name: str, priority: int, subject: dict[str, Any], **sides: list[dict[str, Any]]) -> dict[str, Any]:
    spec = {"tier": "Admin", "priority": priority, "subject": subject, **sides}
    head = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": name}}
    return {**head, "spec": spec}


def rule(action: str, to: str, peer: dict[str, Any]) -> dict[str, Any]:
    return {"action": action, to: [peer]}


EVERYBODY: dict[str, Any] = {"namespaces": {}}


def test_priorities_that_two_share_are_refused_where_it_matters() -> None:
    one = cluster("a", 5, EVERYBODY, egress=[rule("Deny", "to", EVERYBODY)])
    same = cluster("b", 5, EVERYBODY, egress=[rule("Deny", "to", EVERYBODY)])
    other = cluster("b", 5, EVERYBODY, egress=[rule("Accept", "to", EVERYBODY)])
    said = told(f"{json.dumps(one)}\n---\n{json.dumps(other)}")
    assert "f.yaml:3: spec.priority: ClusterNetworkPolicy a, ClusterNetworkPolicy b have this priority" in said
    assert len(import_policy(AUTO, [("f.yaml", f"{json.dumps(one)}\n---\n{json.dumps(same)}")]).policy.rules) == 2


def test_what_passes_cut_into_too_many_rules_is_refused() -> None:
    parts = [cluster("in", 999, EVERYBODY, ingress=[rule("Deny", "from", EVERYBODY)])]
    for n in range(9):
        subject = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {f"k{n}": "v"}}}}
        passes = [{**rule("Pass", "to", {"networks": [f"10.{k}.0.0/16"]}), "protocols": [{"tcp": {}}]} for k in range(25)]
        parts.append(cluster(f"p{n}", n, subject, egress=[*passes, rule("Deny", "to", EVERYBODY)]))
    assert "the passes before it cut it into more than 500 rules" in told("\n---\n".join(map(json.dumps, parts)))


def test_what_admin_accepts_no_network_policy_denies_and_baseline_is_asked_last() -> None:
    isolated = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": "prod"}}
    isolated["spec"] = {"podSelector": {"matchLabels": {"app": "web"}}}
    admin = cluster("admin", 1, EVERYBODY, ingress=[{**rule("Accept", "from", EVERYBODY), "protocols": [{"udp": {}}]}])
    last = cluster("last", 1, EVERYBODY, ingress=[rule("Deny", "from", EVERYBODY)])
    last["spec"]["tier"] = "Baseline"
    found = judging.imported("auto", [last, isolated, admin])
    src, web, other = (judging.PODS[n] for n in (3, 0, 1))
    told = [judging.allowed(found, judging.Conn(src, dst, proto, 80)) for dst in (web, other) for proto in (17, 6)]
    assert told == [True, False, True, False]
    assert [one.tier for one in found.rules] == ["admin", "app", "baseline"]
    without = judging.imported("auto", [isolated, admin])
    assert [judging.allowed(without, judging.Conn(src, dst, 6, 80)) for dst in (web, other)] == [False, True]
