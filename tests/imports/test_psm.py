"""Pensando's firewall logs, both generations. Lines made up by hand from the vendor's pipeline: no such device is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports.taking import Taken, lines

HEAD = "<14>1 2024-05-01T10:00:00Z leaf1 fw - - - "
BEGUN = (
    "2024-05-01T10:00:00Z,flow_create,allow,vrf-1,10.0.0.1,40000,10.0.0.2,443,6,777,pol,rule-9,web,1,60,0,0,10,DSS,1.0,SN1,leaf1,1,2,p,P,"
    ",,,0,from-host,policy"
)
ENDED = BEGUN.replace("T10:00", "T12:00").replace("flow_create", "flow_delete").replace(",1,60,0,0,", ",10,1000,9,9000,")
#: What releases added to the 32 values of the first.
MORE = {
    32: "",
    37: ",close,blue,blue,vrf-1,10",
    38: ",close,blue,blue,vrf-1,10,1",
    40: ",close,blue,blue,vrf-1,10,1,11,12",
    41: ",close,blue,blue,vrf-1,10,1,11,12,x",
}


@pytest.mark.parametrize("values", MORE)
def test_a_session_of_the_second_generation_is_one_flow_with_its_rule(tmp_path: Path, values: int) -> None:
    taken = Taken(tmp_path, "psm", lines(HEAD + BEGUN + MORE[values], ENDED + MORE[values]))
    assert (ENDED + MORE[values]).count(",") == values - 1
    assert taken.flows() == [("10.0.0.1", 40000, "10.0.0.2", 443, 10, 9)]
    network = "vrf:vrf-1" if values == 32 else "vrf:blue"
    assert taken.flows("src_bytes, dst_bytes, verdict, rule_id, network, sensor, duration") == [
        (1000, 9000, "allow", "rule-9", network, "leaf1", 7200.0)
    ]


def test_two_devices_are_one_flow_and_a_tuple_used_again_is_another(tmp_path: Path) -> None:
    other = (
        ENDED.replace("777", "12").replace("leaf1", "leaf2").replace(",10,1000,9,9000,", ",10,1000,8,8000,").replace("T12", "T10")
    )
    again = BEGUN.replace("777", "778").replace("T10:00", "T14:00")
    taken = Taken(tmp_path, "psm", lines(BEGUN, ENDED, other, again))
    assert taken.flows("src_pkts, dst_pkts") == [(10, 9), (1, 0)]
    assert taken.ledger["observed_twice"] == 1


def test_the_first_generation_in_both_spellings(tmp_path: Path) -> None:
    one = {"action": "allow", "source-address": "10.1.0.1", "source-port": 50001, "destination-address": "10.1.0.2"}
    one |= {"destination-port": 22, "protocol": "TCP", "rule-id": (1 << 64) - 1, "session-id": 5, "session-state": "flow_create"}
    one |= {"timestamp": "2020-03-01T00:00:00Z"}
    two = {
        "action": "deny",
        "destaddr": "10.1.0.3",
        "destport": "80",
        "protocol": "6",
        "rule-id": "7",
        "session-id": 6,
        "srcaddr": "10.1.0.1",
        "srcport": "50002",
    }
    import json

    text = HEAD.replace("2024-05-01", "2020-03-01") + json.dumps([one, two, "no session"])
    taken = Taken(tmp_path, "psm", lines(text))
    assert sorted(taken.flows("src_port, dst_port, verdict, rule_id, sensor")) == [
        (50001, 22, "allow", "18446744073709551615", "leaf1"),
        (50002, 80, "deny", "7", "leaf1"),
    ]
    assert taken.ledger["bad_line"] == 1


def test_lines_that_are_no_session_are_counted(tmp_path: Path) -> None:
    taken = Taken(tmp_path, "psm", lines(BEGUN, "a,b,c", HEAD + '[{"action":', HEAD + "[]", BEGUN.replace("10.0.0.2", "db")))
    assert taken.flows("dst_ip") == [("10.0.0.2",)]
    assert (taken.ledger["bad_line"], taken.where["bad_line"]) == (2, "2,3")
    assert taken.ledger["not_a_flow"] == 1
