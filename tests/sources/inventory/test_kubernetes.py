"""Kubernetes objects to claims: what holds an address, from when, until when; and that nothing else is kept."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.inventory.kubernetes_samples import SECRET, event, listing, node, pod, service
from workbench.records.claims import OWNER_LABEL, Claim, claims_batch
from workbench.sources.inventory.kubernetes import ESTIMATE, Kubernetes
from workbench.sources.inventory.kubernetes_documents import KubernetesDocument


def read(*files: bytes, step: int = 1 << 16, at: dt.datetime | None = None) -> Kubernetes:
    into = Kubernetes()
    for data in files:
        document = KubernetesDocument(into)
        for n in range(0, len(data), step):
            document.feed(data[n : n + step])
        document.finish(at)
    return into


def held(into: Kubernetes, name: str) -> list[Claim]:
    return [claim for claim in into.told.claims if claim.name == name]


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_a_pod_is_claimed_with_all_its_addresses_from_when_its_network_was_there() -> None:
    one = pod("web-5d8f-x1", ["10.244.1.5", "fd00:0:0:1::5"], **{"pod-template-hash": "5d8f"})
    ready = {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": "2024-11-05T10:00:03Z"}
    one["status"]["conditions"] = [ready]
    four, six = held(read(listing(one)), "web-5d8f-x1")
    assert (four.ip, six.ip) == ("10.244.1.5", "fd00:0:0:1::5")
    assert (four.kind, four.namespace, four.node, four.network) == ("pod", "shop", "node-a", None)
    assert four.ts_from == at("2024-11-05 10:00:03")  # not 09:00, when it was created
    assert four.ts_to is None
    assert four.confidence == 0.9
    assert four.labels == {"app": "web", "pod-template-hash": "5d8f", OWNER_LABEL: "Deployment/web"}


def test_a_pod_that_restarted_holds_its_address_since_the_kubelet_took_it_on() -> None:
    one = pod("web-1", "10.0.0.1", began="2024-11-07T00:00:00Z")
    one["status"]["containerStatuses"][0]["restartCount"] = 3
    one["status"]["conditions"] = [{"type": "PodHasNetwork", "status": "True", "lastTransitionTime": "2024-11-06T00:00:00Z"}]
    assert held(read(listing(one)), "web-1")[0].ts_from == at("2024-11-05 10:00:00")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_completion_ends_a_claim_and_not_deletion(phase: str) -> None:
    done = pod("job-1", "10.0.0.7", phase=phase, finished="2024-11-05T10:07:00Z")
    deleted = pod("job-1", "10.0.0.7", phase=phase, finished="2024-11-05T10:07:00Z", deleted="2024-11-06T10:00:00Z", version=200)
    into = read(event("ADDED", done), event("DELETED", deleted))
    assert [claim.ts_to for claim in held(into, "job-1")] == [at("2024-11-05 10:07:01")]


def test_times_are_whole_seconds_so_one_that_ends_and_one_that_begins_in_a_second_both_claim_it() -> None:
    into = read(
        listing(
            pod("old-1", "10.0.0.7", phase="Succeeded", began="2024-11-05T10:00:00Z", finished="2024-11-05T10:05:00Z"),
            pod("new-1", "10.0.0.7", start="2024-11-05T10:05:00Z", began="2024-11-05T10:05:00Z"),
        )
    )
    (old,), (new,) = held(into, "old-1"), held(into, "new-1")
    assert (old.ts_to, new.ts_from) == (at("2024-11-05 10:05:01"), at("2024-11-05 10:05:00"))


def test_an_evicted_pod_without_containers_ends_with_its_last_condition() -> None:
    one = pod("web-1", "10.0.0.1", phase="Failed")
    one["status"]["containerStatuses"] = []
    one["status"]["conditions"] = [{"type": "Ready", "status": "False", "lastTransitionTime": "2024-11-05T11:00:00Z"}]
    (claim,) = held(read(listing(one)), "web-1")
    assert claim.ts_to == at("2024-11-05 11:00:00")
    assert "no container says when" in (claim.detail or "")


def test_a_deletion_that_is_asked_for_ends_nothing_yet() -> None:
    into = read(event("MODIFIED", pod("web-1", "10.0.0.1", deleted="2024-11-05T12:00:30Z")))
    assert [claim.ts_to for claim in held(into, "web-1")] == [None]


def test_a_pod_deleted_while_it_ran_ends_at_its_deletion() -> None:
    into = read(event("ADDED", pod("w-1", "10.0.0.1")) + event("DELETED", pod("w-1", "10.0.0.1", deleted="2024-11-05T12:00:30Z")))
    first, last = held(into, "w-1")
    assert (first.ts_to, last.ts_to) == (None, at("2024-11-05 12:00:30"))
    assert first.ts_from == last.ts_from
    assert last.ts_seen is not None
    assert first.ts_seen is not None
    assert last.ts_seen > first.ts_seen


def test_an_end_without_addresses_ends_what_the_pod_held() -> None:
    over = pod("w-1", None, phase="Succeeded", finished="2024-11-05T10:30:00Z")
    into = read(event("ADDED", pod("w-1", "10.0.0.1")) + event("MODIFIED", over))
    last = into.told.claims[-1]
    assert (last.ip, last.ts_to, last.uid) == (None, at("2024-11-05 10:30:01"), "uid-w-1")


def test_a_pod_on_its_nodes_network_claims_the_node() -> None:
    into = read(listing(pod("proxy-1", "192.0.2.11", host_network=True)))
    assert held(into, "proxy-1") == []
    (claim,) = held(into, "node-a")
    assert (claim.kind, claim.ip, claim.uid) == ("node", "192.0.2.11", "kubernetes:node/node-a")
    assert "share" in (claim.detail or "")


def test_pods_and_the_node_itself_claim_one_node() -> None:
    into = read(listing(pod("web-1", "10.0.0.1"), node("node-a", "192.0.2.11", external="203.0.113.9"), pod("web-2", "10.0.0.2")))
    uids = {claim.uid for claim in into.told.claims if claim.kind == "node"}
    assert uids == {"kubernetes:node/node-a"}
    (outer,) = [claim for claim in into.told.claims if claim.kind == "nat"]
    assert (outer.ip, outer.name) == ("203.0.113.9", "node-a")


def test_services_claim_their_virtual_addresses() -> None:
    one = service("web", "10.96.0.10", spec={"externalIPs": ["198.51.100.4"]}, loadBalancer={"ingress": [{"ip": "203.0.113.5"}]})
    headless = service("db", "None")
    into = read(listing(one, headless))
    assert {(c.kind, c.ip) for c in into.told.claims} == {
        ("service", "10.96.0.10"),
        ("service", "198.51.100.4"),
        ("service", "203.0.113.5"),
    }


def test_what_a_later_list_lacks_ended_when_it_was_last_seen() -> None:
    before = listing(pod("a-1", "10.0.0.1"), pod("b-1", "10.0.0.2", namespace="other"))
    after = listing(pod("b-1", "10.0.0.2", namespace="other"), pod("c-1", "10.0.0.3", start="2024-11-05T11:00:00Z", began=None))
    into = Kubernetes()
    for data, when in ((before, "2024-11-05 10:30:00"), (after, "2024-11-05 11:30:00")):
        document = KubernetesDocument(into)
        document.feed(data)
        document.finish(at(when))
    ends = [claim for claim in into.told.claims if claim.ip is None]
    assert [(c.uid, c.ts_to, c.confidence) for c in ends] == [("uid-a-1", at("2024-11-05 10:30:00"), ESTIMATE)]
    assert "between 2024-11-05T10:30:00Z and 2024-11-05T11:30:00Z" in (ends[0].detail or "")
    assert into.told.notes == ["1 ended since a later list lacks them, when they were last seen"]


def test_a_list_of_one_namespace_says_nothing_of_another_and_a_cut_one_nothing_at_all() -> None:
    both = listing(pod("a-1", "10.0.0.1"), pod("b-1", "10.0.0.2", namespace="other"))
    one = listing(pod("c-1", "10.0.0.3", namespace="other", start="2024-11-05T12:00:00Z", began=None))
    assert [c.uid for c in read(both, one).told.claims if c.ip is None] == ["uid-b-1"]
    assert [c.uid for c in read(both, one[:-40]).told.claims if c.ip is None] == []


def test_an_address_that_a_pod_gave_up_ends_where_it_has_another() -> None:
    later = pod("w-1", "10.0.0.9", version=200)
    later["status"]["conditions"] = [{"type": "Ready", "lastTransitionTime": "2024-11-05T13:00:00Z"}]
    into = read(event("ADDED", pod("w-1", "10.0.0.1")) + event("MODIFIED", later))
    old, new, end = held(into, "w-1")
    assert (new.ip, new.ts_from) == ("10.0.0.9", at("2024-11-05 13:00:00"))
    assert (end.ip, end.ts_from, end.ts_to) == ("10.0.0.1", old.ts_from, at("2024-11-05 13:00:00"))


def test_what_is_said_again_claims_nothing_new() -> None:
    one = event("MODIFIED", pod("w-1", "10.0.0.1"))
    assert len(held(read(one * 50), "w-1")) == 1


def test_an_older_version_that_comes_late_does_not_revive() -> None:
    done = pod("j-1", "10.0.0.7", phase="Succeeded", finished="2024-11-05T10:07:00Z", version=300)
    into = read(event("MODIFIED", done), event("ADDED", pod("j-1", "10.0.0.7", version=100)))
    last_said = max(held(into, "j-1"), key=lambda claim: claim.ts_seen or at("1970-01-01"))
    assert last_said.ts_to == at("2024-11-05 10:07:01")


def test_bookmarks_and_errors_of_a_watch() -> None:
    mark = {"kind": "Pod", "metadata": {"resourceVersion": "4711"}}
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": SECRET}
    into = read(event("BOOKMARK", mark) + event("ERROR", gone))
    assert into.version == "4711"
    assert into.told.gaps == ["line 2: the watch ended with 410"]
    assert into.told.claims == []


def test_audit_logs_tell_what_was_answered() -> None:
    def line(verb: str, obj: Any) -> bytes:
        told = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "verb": verb}
        told |= {"user": {"username": SECRET}, "responseObject": obj, "stageTimestamp": "2024-11-05T10:20:00.5Z"}
        return json.dumps(told).encode() + b"\n"

    last = pod("w-1", "10.0.0.1", deleted="2024-11-05T10:20:00Z", version=200)
    last["metadata"]["deletionGracePeriodSeconds"] = 0
    into = read(line("patch", pod("w-1", "10.0.0.1")) + line("delete", last) + line("delete", {"kind": "Status"}))
    assert [claim.ts_to for claim in held(into, "w-1")] == [None, at("2024-11-05 10:20:00.5")]


def test_endpoints_name_pods_that_are_not_listed() -> None:
    target = {"kind": "Pod", "name": "far-1", "namespace": "shop", "uid": "uid-far-1"}
    known = {"kind": "Pod", "name": "w-1", "namespace": "shop", "uid": "uid-w-1"}
    slice_ = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-abc", "namespace": "shop", "uid": "s", "creationTimestamp": "2024-11-05T09:00:00Z",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.8"], "nodeName": "node-b", "targetRef": target},
                      {"addresses": ["10.0.0.1"], "targetRef": known}],
    }  # fmt: skip
    into = read(listing(slice_, pod("w-1", "10.0.0.1")))
    (claim,) = held(into, "far-1")
    assert (claim.ip, claim.node, claim.confidence, claim.detail) == ("10.0.0.8", "node-b", 0.8, "endpoint of web")
    assert [claim.confidence for claim in held(into, "w-1")] == [0.9]


def test_yaml_and_json_of_the_same_say_the_same() -> None:
    objects = [pod("w-1", ["10.0.0.1", "fd00::1"]), service("web", "10.96.0.1"), node("node-a", "192.0.2.11")]
    whole = {"apiVersion": "v1", "items": objects, "kind": "List"}
    as_yaml = yaml.safe_dump(whole).encode()
    documents = b"---\n".join(yaml.safe_dump(one).encode() for one in objects)
    expected = read(listing(*objects)).told.claims
    assert len(expected) == 5
    assert read(as_yaml, step=17).told.claims == expected
    assert read(documents).told.claims == expected


def test_a_bad_object_costs_itself_and_is_told_with_its_place() -> None:
    good, other = listing(pod("w-1", "10.0.0.1"), pod("w-2", "10.0.0.2"), pod("w-3", "10.0.0.3")), b'"phase": "Running"'
    second = good.index(other, good.index(other) + 1)
    broken = good[:second] + b'"phase": Running' + good[second + len(other) :]
    into = read(broken, step=100)
    assert [c.name for c in into.told.claims if c.kind == "pod"] == ["w-1", "w-3"]
    ((cause, count, where),) = into.told.refused()
    assert (cause, count) == ("not JSON", 1)
    assert where.endswith(", item 2")


def test_lines_of_a_watch_that_are_cut_or_wrong_cost_themselves() -> None:
    lines = [event("ADDED", pod(f"w-{n}", f"10.0.0.{n}")) for n in range(1, 6)]
    lines[1] = lines[1][:200] + b"\n"
    lines[3] = b"E1105 connection refused\n"
    into = read(b"".join(lines), step=999)
    assert [c.name for c in into.told.claims if c.kind == "pod"] == ["w-1", "w-3", "w-5"]
    assert into.told.refused() == [("cut off", 1, "line 2"), ("not a JSON object", 1, "line 4")]


def test_no_secret_is_kept() -> None:
    secret = {"kind": "Secret", "metadata": {"name": SECRET}, "data": {"a": SECRET}}
    into = read(listing(pod("w-1", "10.0.0.1"), pod("p-1", "192.0.2.11", host_network=True), secret), event("ERROR", secret))
    said = str(claims_batch(into.told.claims, 1).to_pylist()) + str(into.told)
    assert "w-1" in said
    assert SECRET not in said
    assert into.others == 1


def test_rows_have_the_halves_of_addresses_as_flows_do() -> None:
    rows = claims_batch(read(listing(pod("w-1", ["10.0.0.1", "fd00::1"]))).told.claims, 7).to_pylist()
    by_ip = {row["ip"]: row for row in rows}
    assert (by_ip["10.0.0.1"]["hi"], by_ip["10.0.0.1"]["lo"]) == (0, 0xFFFF_0A00_0001)
    assert (by_ip["fd00::1"]["hi"], by_ip["fd00::1"]["lo"]) == ((0xFD00 << 48) - (1 << 64), 1)
    assert {row["source_id"] for row in rows} == {7}
    assert json.loads(by_ip["10.0.0.1"]["labels"])["app"] == "web"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["10.0.0.1", "Pod", "True"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += _places(inner, (*path, key))
    return found


_SAMPLES = [pod("w-1", ["10.0.0.1", "fd00::1"]), service("web", "10.96.0.1"), node("n", "192.0.2.1")]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_anything_anywhere_costs_at_most_its_object(data: st.DataObject) -> None:
    one = json.loads(json.dumps(data.draw(st.sampled_from(_SAMPLES))))
    path = data.draw(st.sampled_from(_places(one)))
    anything = data.draw(_JSON)
    into: Any = one
    for step in path[:-1]:
        into = into[step]
    if path:
        into[path[-1]] = anything
    else:
        one = anything
    kind = data.draw(st.sampled_from(["ADDED", "DELETED", "ERROR", "BOOKMARK"]))
    found = read(event("ADDED", pod("before-1", "10.9.9.1")) + event(kind, one) + event("ADDED", pod("after-1", "10.9.9.2")))
    names = [row["name"] for row in claims_batch(found.told.claims, 1).to_pylist()]
    assert "before-1" in names
    assert "after-1" in names


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_read_alike_however_they_arrive(data: bytes, step: int) -> None:
    whole, pieces = read(data), read(data, step=step)
    assert whole.told.refused() == pieces.told.refused()
    assert whole.told.claims == pieces.told.claims
