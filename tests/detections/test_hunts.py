"""What the hunts find in the samples is what the samples' truths say."""

import json
from typing import Any

import pytest

from tests.sample_captures.indexed import FOLDER
from workbench.store.reader import CaseReader
from workbench.workflows.hunt import named_query

Row = dict[str, Any]


def truth(sample: str) -> Row:
    return dict(json.loads((FOLDER / f"{sample}.json").read_text()))


def hunted(case: CaseReader, name: str, filter_text: str = "", **params: object) -> list[Row]:
    with named_query(case, name, params, filter_text=filter_text) as rows:
        return [row for batch in rows for row in batch.to_pylist()]


def of_sample(case: CaseReader, sample: str) -> str:
    """The filter that keeps one sample's flows: a case of its own for questions about what was first."""
    (row,) = case.query("SELECT source_id FROM sources WHERE path LIKE ?", [f"%/{sample}.pcapng"]).to_pylist()
    return f"source_id == {row['source_id']}"


def test_scanners_stand_on_top_of_what_is_unanswered(sampled: CaseReader) -> None:
    found = {row["src_ip"]: row for row in hunted(sampled, "unanswered", least=30)}
    lateral = truth("esxi-lateral")
    scanner = found[lateral["scan"]["source"]]
    assert scanner["refused"] == lateral["scan"]["refused"]
    assert scanner["half_open"] == lateral["scan"]["half-open"]
    assert scanner["unanswered"] == lateral["slp_sweep"]["asked"] - len(lateral["slp_sweep"]["answered"])
    assert truth("scans")["scans"]["syn"]["source"] in found


def test_who_sends_to_the_outside(sampled: CaseReader) -> None:
    told = truth("exfil")["exfiltration"]
    (row,) = [row for row in hunted(sampled, "top-uploaders") if row["host"] == told["source"]]
    assert row["peer"] == told["target"]
    assert told["sent_bytes"] <= row["sent"] < told["sent_bytes"] * 1.05
    assert row["share_out"] > 0.99
    assert hunted(sampled, "top-uploaders", internal="0.0.0.0/0, ::/0") == []


def test_an_address_that_several_workloads_had(sampled: CaseReader) -> None:
    told = truth("churn")
    (row,) = [row for row in hunted(sampled, "several-macs") if row["ip"] == told["shared_address"]]
    macs = [one["mac"] for one in told["workloads"] if one["ip"] == told["shared_address"]]
    assert [part.split()[0] for part in row["by_mac"].split(", ")] == macs
    assert row["macs"] == len(macs) >= 2
    assert not row["in_turns"]  # one after the other: replaced, not spoofed
    assert row["claims"] > 0


def test_a_service_that_began_to_answer(sampled: CaseReader) -> None:
    found = hunted(sampled, "new-listeners", of_sample(sampled, "churn"), baseline=0.1)
    assert [(row["dst_ip"], row["dst_port"], row["first_client"]) for row in found] == [("10.244.7.23", 8080, "10.244.7.10")]


def test_pairs_that_are_new(sampled: CaseReader) -> None:
    """The scan falls into the baseline, so that the scanner is known; whom it sweeps afterwards is new."""
    kept = of_sample(sampled, "esxi-lateral")
    found = hunted(sampled, "first-seen-pairs", kept, baseline=0.45)
    scanner, swept = truth("esxi-lateral")["scan"]["source"], truth("esxi-lateral")["slp_sweep"]
    pairs = {(row["src_ip"], row["dst_ip"]) for row in found if row["src_ip"] == scanner}
    assert len(pairs) >= swept["asked"]
    assert found[0]["src_ip"] == scanner
    assert found[0]["new_peers"] == len(pairs)
    assert {row["services"] for row in found if row["dst_ip"] in swept["answered"]} >= {"tcp/427 udp/427"}


def test_who_administers_whom(sampled: CaseReader) -> None:
    found = hunted(sampled, "admin-protocols", of_sample(sampled, "windows"))
    hosts = {one["name"]: one["ip"] for one in truth("windows")["hosts"]}
    assert {(row["src_ip"], row["protocol"]) for row in found if row["accepted"]} >= {
        (hosts["desk"], "smb"),
        (hosts["jump"], "smb"),
    }
    assert all(row["accepted"] <= row["connections"] for row in found)


def test_who_reaches_into_whose_memory(sampled: CaseReader) -> None:
    found = hunted(sampled, "rdma-peers")
    ends = {ip for c in truth("rocev2")["connections"] if 4791 in (c["src_port"], c["dst_port"]) for ip in (c["src"], c["dst"])}
    assert {ip for row in found for ip in (row["a"], row["b"])} == ends
    assert all(row["a"] < row["b"] and row["packets_ab"] + row["packets_ba"] > 0 for row in found)


def test_one_machine_in_several_tenants_networks(sampled: CaseReader) -> None:
    found = hunted(sampled, "tenant-crossing", of_sample(sampled, "overlays"))
    assert {row["mac"] for row in found} == {"02:00:0a:50:01:0b", "02:00:0a:50:01:15"}
    assert all(row["networks"] == 4 and "vni:7001" in row["by_network"] for row in found)


def test_resolvers_that_few_ask(sampled: CaseReader) -> None:
    found = hunted(sampled, "dns-resolvers", of_sample(sampled, "names"), share=2)
    assert found
    assert {row["resolver"] for row in found} <= {one["ip"] for one in truth("names")["hosts"]}
    assert all(0 < row["share"] <= 1 and row["answered"] <= row["flows"] for row in found)


@pytest.mark.parametrize(
    ("name", "params", "column"),
    [
        ("long-lived", {"least": "60s"}, "seconds"),
        ("path-trouble", {"times": "5"}, "rtt_ms"),
        ("rare-ports", {}, "servers"),
        ("gone-silent", {"quiet": "0.1", "least": "1"}, "silent"),
        ("icmp-tunnels", {"per_packet": "1"}, "payload"),
    ],
)
def test_the_others_find_something_and_keep_their_limits(
    sampled: CaseReader, name: str, params: dict[str, str], column: str
) -> None:
    found = hunted(sampled, name, **params)
    assert found
    assert all(row[column] is None or row[column] > 0 for row in found)
    assert len(hunted(sampled, name, **params, rows="1")) == 1
    if name == "long-lived":
        assert min(row["seconds"] for row in found) >= 60
    if name == "gone-silent":
        asked = [row["asked_after"] for row in found]
        assert asked == sorted(asked, reverse=True)
