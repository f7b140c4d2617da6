"""VPC flow logs: any order of fields, both interfaces and windows as one flow. Lines made up by hand from the documentation."""

from __future__ import annotations

from pathlib import Path

from tests.imports.taking import Taken


def record(interface: str, src: str, dst: str, ports: str, counts: str, start: int, action: str = "ACCEPT OK") -> str:
    return f"2 123456789010 {interface} {src} {dst} {ports} 6 {counts} {start} {start + 59} {action}\n"


def test_both_interfaces_both_directions_and_windows_are_one_flow(tmp_path: Path) -> None:
    a, b = ("10.0.1.5", "10.0.2.9"), ("10.0.2.9", "10.0.1.5")
    first = record("eni-0a", *a, "40000 443", "10 1000", 1700000000) + record("eni-0a", *b, "443 40000", "8 9000", 1700000000)
    first += record("eni-0a", *a, "40000 443", "4 400", 1700000060)
    second = record("eni-0b", *b, "443 40000", "7 8000", 1700000001) + record("eni-0b", *a, "40000 443", "10 1000", 1700000001)
    taken = Taken(tmp_path, "vpcflow", first, second)  # each interface in a file of its own, as they come
    assert taken.flows() == [("10.0.1.5", 40000, "10.0.2.9", 443, 14, 8)]
    assert taken.flows("src_bytes, dst_bytes, verdict, duration, sensor") == [(1400, 9000, "allow", 119.0, "eni-0a")]
    assert (taken.ledger["observed_twice"], taken.ledger["records_merged"]) == (1, 4)
    assert sorted(taken.state) == ["ok", "refused"] or taken.state == ["ok", "ok"]


def test_what_the_service_left_out_is_counted_and_nothing_else_lost(tmp_path: Path) -> None:
    none = "2 123456789010 eni-0a - - - - - - - 1700000000 1700000059 - {}\n"
    text = none.format("NODATA") + none.format("SKIPDATA") + "garbage\n"
    text += record("eni-0a", "10.0.1.5", "nowhere", "1 2", "1 40", 1700000000)
    text += record("eni-0a", "203.0.113.9", "10.0.1.5", "5555 22", "1 40", 1700000000, "REJECT OK")
    taken = Taken(tmp_path, "vpcflow", text)
    assert taken.flows("src_ip, verdict") == [("203.0.113.9", "deny")]
    assert (taken.ledger["records_skipped"], taken.where["records_skipped"]) == (2, "1,2")
    assert (taken.ledger["bad_line"], taken.where["bad_line"]) == (1, "3")
    assert (taken.ledger["not_a_flow"], taken.where["not_a_flow"]) == (1, "4")
    assert taken.state == ["partial"]


def test_fields_in_the_order_of_the_first_line(tmp_path: Path) -> None:
    head = (
        "srcaddr pkt-srcaddr dstaddr protocol srcport dstport tcp-flags reject-reason new-field start end action packets bytes\n"
    )
    there = "10.0.0.9 10.0.3.3 198.51.100.7 6 50000 443 2 - x 1700000000 1700000030 ACCEPT 3 180\n"
    back = "198.51.100.7 - 10.0.3.3 6 443 50000 18 BPA x 1700000000 1700000030 REJECT 2 100\n"
    taken = Taken(tmp_path, "vpcflow", head + back + there)
    assert taken.flows() == [("10.0.3.3", 50000, "198.51.100.7", 443, 3, 2)]
    assert taken.flows("src_flags, dst_flags, verdict, rule_id, sensor") == [(2, 18, "deny", "BPA", "vpcflow-0")]
