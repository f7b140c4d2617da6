"""Hubble: both observation points and both directions of a conversation are one flow; pods become claims. Lines made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.imports.taking import Taken, lines

WEB = {"namespace": "shop", "pod_name": "web-1", "ID": 7, "labels": ["k8s:app=web", "reserved:none", "k8s:io/x=a=b"]}
DB = {"namespace": "shop", "pod_name": "db-0", "labels": ["k8s:app=db"]}


def event(second: float, **changes: Any) -> dict[str, Any]:
    """One event of a packet from web to db."""
    flow = {
        "time": f"2024-01-01T00:00:{second:012.9f}Z",
        "verdict": "FORWARDED",
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.2", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": 40000, "destination_port": 5432, "flags": {"SYN": True}}},
        "source": WEB,
        "destination": DB,
        "Type": "L3_L4",
        "node_name": "n1",
        "event_type": {"type": 4},
        "traffic_direction": "EGRESS",
        "trace_observation_point": "TO_STACK",
        "is_reply": False,
    }
    flow |= changes
    return {"flow": {k: v for k, v in flow.items() if v is not None}, "node_name": flow["node_name"], "time": flow["time"]}


def reply(second: float, **changes: Any) -> dict[str, Any]:
    back = {"TCP": {"source_port": 5432, "destination_port": 40000, "flags": {"SYN": True, "ACK": True}}}
    ends = {"IP": {"source": "10.0.0.2", "destination": "10.0.0.1"}, "source": DB, "destination": WEB, "l4": back}
    return event(second, **({"is_reply": True} | ends | changes))


def test_both_points_both_nodes_and_both_directions_are_one_flow(tmp_path: Path) -> None:
    there = {"node_name": "n2", "trace_observation_point": "TO_ENDPOINT", "traffic_direction": "INGRESS"}
    ack = {"TCP": {"source_port": 40000, "destination_port": 5432, "flags": {"ACK": True}}}
    taken = Taken(
        tmp_path, "hubble", lines(event(1), event(1.001, **there), reply(1.002), reply(1.003, **there), event(1.004, l4=ack))
    )
    assert taken.flows() == [("10.0.0.1", 40000, "10.0.0.2", 5432, 2, 1)]
    assert taken.flows("src_flags, dst_flags, verdict, sensor") == [(18, 18, "allow", "n1")]
    assert (taken.ledger["observed_twice"], taken.ledger["records_merged"], taken.state) == (1, 4, ["ok"])


def test_without_a_direction_flags_and_icmp_types_tell_who_asked(tmp_path: Path) -> None:
    unknown = {"is_reply": None, "traffic_direction": None, "trace_observation_point": "TO_OVERLAY"}
    echo = {"l4": {"ICMPv4": {"type": 8}}} | unknown
    answer = {"l4": {"ICMPv4": {}}, "IP": {"source": "10.0.0.2", "destination": "10.0.0.1"}} | unknown
    taken = Taken(tmp_path, "hubble", lines(reply(1, **unknown), event(1.5, **unknown), event(2, **answer), event(3, **echo)))
    assert taken.flows() == [("10.0.0.1", 40000, "10.0.0.2", 5432, 1, 1), ("10.0.0.1", 8, "10.0.0.2", 0, 1, 1)]


def test_a_drop_at_any_point_is_the_verdict_and_names_the_policy(tmp_path: Path) -> None:
    drop = {"verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "event_type": {"type": 1}, "node_name": "n2"}
    named = {
        "ingress_denied_by": [{"name": "no-db", "namespace": "shop"}],
        "IP": {"source": "10.0.0.1", "destination": "10.0.0.9"},
    }
    taken = Taken(tmp_path, "hubble", lines(event(1), event(1.1, **drop), event(2, **(drop | named))))
    assert taken.flows("verdict, rule_id") == [("deny", "POLICY_DENIED"), ("deny", "no-db")]


def test_pods_become_claims_until_another_is_seen_there(tmp_path: Path) -> None:
    other = {"source": {"namespace": "shop", "pod_name": "web-2"}}
    taken = Taken(tmp_path, "hubble", lines(event(1), event(2), event(5, **other), event(6, **other)))
    claims = taken.rows("SELECT * FROM claims WHERE ip = '10.0.0.1' ORDER BY ts_from")
    assert [(c["name"], c["ts_from"].second, c["ts_to"] and c["ts_to"].second) for c in claims] == [
        ("web-1", 1, 5),
        ("web-2", 5, None),
    ]
    assert (claims[0]["namespace"], claims[0]["kind"], claims[0]["origin"], claims[0]["confidence"]) == (
        "shop",
        "pod",
        "hubble",
        0.8,
    )
    assert (claims[0]["node"], claims[0]["network"]) == ("n1", None)
    assert claims[0]["labels"] == '{"app":"web","io/x":"a=b"}'
    assert claims[0]["lo"] == 0xFFFF_0A00_0001


def test_what_was_asked_in_layer_seven_joins_its_flow_without_counting(tmp_path: Path) -> None:
    layer = {"Type": "L7", "event_type": {"type": 129}}
    dns = {"l7": {"type": "RESPONSE", "dns": {"query": "Api.Shop.svc.", "ips": ["10.0.0.9"], "rcode": 3, "qtypes": ["A"]}}}
    http = {
        "l7": {
            "type": "REQUEST",
            "http": {"method": "GET", "url": "http://bob:pw@api/v1/items?token=secret", "protocol": "HTTP/1.1"},
        }
    }
    taken = Taken(tmp_path, "hubble", lines(event(1), reply(2, **layer, **dns), event(3, **layer, **http)))
    assert taken.flows("src_pkts, dst_pkts, service") == [(1, 0, "dns")]
    (query,) = taken.rows("SELECT d.*, f.dst_port FROM dns d JOIN flows f USING (flow_id)")
    assert (query["query"], query["rcode"], query["answers"], query["dst_port"]) == ("api.shop.svc", "NXDOMAIN", "10.0.0.9", 5432)
    (request,) = taken.rows("SELECT h.* FROM http h JOIN flows f USING (flow_id)")
    assert (request["method"], request["path"], request["version"]) == ("GET", "/v1/items", "1.1")
    assert b"secret" not in taken.whole_case()


def test_bare_flows_lost_events_and_bad_lines(tmp_path: Path) -> None:
    lost = {"lost_events": {"source": "PERF_EVENT_RING_BUFFER", "num_events_lost": "12"}, "node_name": "n1"}
    bare = event(1)["flow"]
    nobody = event(2, IP=None)
    taken = Taken(
        tmp_path,
        "hubble",
        lines(bare, '{"flow": {"time"', lost, nobody, event(3, IP={"source": "x", "destination": "y"}), event(4)),
    )
    assert taken.flows() == [("10.0.0.1", 40000, "10.0.0.2", 5432, 2, 0)]
    assert (taken.ledger["bad_line"], taken.where["bad_line"]) == (1, "2")
    assert (taken.ledger["records_skipped"], taken.where["records_skipped"]) == (1, "3")
    assert (taken.ledger["not_a_flow"], taken.where["not_a_flow"]) == (2, "4,5")


def test_a_long_silence_begins_another_flow(tmp_path: Path) -> None:
    late = event(1)
    late["flow"]["time"] = "2024-01-01T01:00:00Z"
    assert len(Taken(tmp_path, "hubble", lines(late, event(1), event(2))).flows()) == 2
