"""Listings of OVN and libvirt, and claims that people write, to claims."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records.claims import Claim, claims_batch
from workbench.sources.inventory.claims_csv import HeadingError, read_claims
from workbench.sources.inventory.libvirt import Libvirt
from workbench.sources.inventory.ovn import read_ovn
from workbench.sources.inventory.told import Told

AT = dt.datetime.fromisoformat("2024-11-05 12:00:00")

_PORTS = {
    "caption": "Logical_Switch_Port table",
    "headings": ["_uuid", "addresses", "dynamic_addresses", "external_ids", "name", "options", "type"],
    "data": [
        [
            ["uuid", "6f1d2c3b-0000-4000-8000-000000000001"],
            "fa:16:3e:00:00:01 10.0.0.4 fd00::4",
            ["set", []],
            ["map", [["neutron:device_id", "vm-uuid-1"], ["neutron:port_name", "db-1"], ["neutron:project_id", "p1"],
                     ["password", "hunter2"]]],
            "port-1",
            ["map", [["requested-chassis", "host-7"]]],
            "",
        ],
        [
            ["uuid", "6f1d2c3b-0000-4000-8000-000000000002"],
            ["set", ["0a:58:0a:f4:01:05 10.244.1.5", "unknown"]],
            ["set", []],
            ["map", [["namespace", "shop"], ["pod", "true"]]],
            "shop_web-1",
            ["map", []],
            "",
        ],
        [["uuid", "3"], "dynamic", "0a:00:00:00:00:03 10.0.0.9", ["map", []], "dyn-1", ["map", []], ""],
        [["uuid", "4"], "router", ["set", []], ["map", []], "to-router", ["map", []], "router"],
        [["uuid", "5"], "unknown"],
        [["uuid", "6"], ["set", []], ["set", []], ["map", []], "empty-1", ["map", []], ""],
    ],
}  # fmt: skip


def ovn(table: object) -> Told:
    told = Told()
    read_ovn(json.dumps(table).encode(), AT, told)
    return told


def test_ports_of_ovn_name_machines_and_pods() -> None:
    told = ovn(_PORTS)
    found = {claim.ip: claim for claim in told.claims}
    assert sorted(found) == ["10.0.0.4", "10.0.0.9", "10.244.1.5", "fd00::4"]
    one = found["10.0.0.4"]
    assert (one.uid, one.name, one.namespace, one.kind, one.node) == ("vm-uuid-1", "db-1", "p1", "vm", "host-7")
    assert (one.mac, one.ts_from, one.ts_to) == ("fa:16:3e:00:00:01", AT, None)
    assert (found["10.244.1.5"].kind, found["10.244.1.5"].namespace) == ("pod", "shop")
    assert told.refused() == [
        ("a port without an address", 1, "row 6"),
        ("a row of another length than its headings", 1, "row 5"),
    ]
    assert "hunter2" not in str(claims_batch(told.claims, 1).to_pylist())


def test_translations_and_bindings_of_ovn() -> None:
    rows = [["203.0.113.7", "10.0.0.4", "dnat_and_snat", "port-1"], ["nonsense", "10.0.0.0/24", "snat", ["set", []]]]
    nat = {"headings": ["external_ip", "logical_ip", "type", "logical_port"], "data": rows}
    (claim,) = (told := ovn(nat)).claims
    assert (claim.kind, claim.ip, claim.name) == ("nat", "203.0.113.7", "port-1")
    assert len(told.refused()) == 1
    binding = {"headings": ["logical_port", "mac", "type"], "data": [["port-9", ["set", ["fa:16:3e:00:00:09 10.0.0.19"]], ""]]}
    assert [(c.name, c.ip) for c in ovn(binding).claims] == [("port-9", "10.0.0.19")]


def test_what_is_no_listing_of_ovn_is_refused() -> None:
    for data in (b"[" * 100_000, b"{}", b"not json", json.dumps({"headings": ["a"], "data": []}).encode()):
        with pytest.raises(ValueError, match=r".+"):
            read_ovn(data, AT, Told())


_XML = b"""<?xml version="1.0"?>
<domain type='kvm' id='3'>
  <name>db-1</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>
  <metadata><app:x xmlns:app="urn:a"><app:name>not this</app:name></app:x></metadata>
  <os><cmdline>password=hunter2</cmdline></os>
  <devices>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>
    <interface type='ethernet'><mac address='52:54:00:00:00:02'/><ip address='192.0.2.9' family='ipv4' prefix='24'/></interface>
    <graphics passwd='hunter2'/>
  </devices>
</domain>"""

_LEASES = b""" Expiry Time           MAC address         Protocol   IP address          Hostname   Client ID or DUID
------------------------------------------------------------------------------------------------------------
 2024-11-05 13:00:00   52:54:00:00:00:01   ipv4       192.168.122.5/24    db-1       -
 2024-11-05 13:00:00   52:54:00:00:00:77   ipv4       192.168.122.7/24    -          -
 broken line
"""

_ADDRESSES = b""" Name       MAC address          Protocol     Address
-------------------------------------------------------------------------------
 vnet0      52:54:00:00:00:0a    ipv4         10.1.0.5/24
 -          -                    ipv6         fd00::5/64
"""


def libvirt(*files: tuple[bytes, str]) -> Libvirt:
    into = Libvirt()
    for data, name in files:
        into.take(data, AT, name)
    into.finish()
    return into


def test_leases_are_joined_to_machines_by_mac() -> None:
    into = libvirt((_LEASES, ""), (_XML, ""))
    found = {claim.ip: claim for claim in into.told.claims}
    assert sorted(found) == ["192.0.2.9", "192.168.122.5", "192.168.122.7"]
    one = found["192.168.122.5"]
    assert (one.uid, one.name, one.mac) == ("4dea22b3-1d52-d8f3-2516-782e98ab3fa0", "db-1", "52:54:00:00:00:01")
    assert found["192.0.2.9"].uid == one.uid
    assert found["192.168.122.7"].kind == "host"
    assert into.told.refused() == [("a line that is not of its table", 1, "line 5")]
    assert "hunter2" not in str(claims_batch(into.told.claims, 1).to_pylist())


def test_addresses_that_a_machine_tells_are_of_the_machine_the_file_names() -> None:
    into = libvirt((_ADDRESSES, "web-1"))
    assert [(c.name, c.ip, c.mac) for c in into.told.claims] == [
        ("web-1", "10.1.0.5", "52:54:00:00:00:0a"),
        ("web-1", "fd00::5", "52:54:00:00:00:0a"),
    ]


def test_hosts_of_a_network_are_named() -> None:
    xml = b"<network><ip address='10.1.0.1'><dhcp><host mac='52:54:00:00:00:05' name='ns' ip='10.1.0.2'/></dhcp></ip></network>"
    assert [(c.name, c.ip) for c in libvirt((xml, "")).told.claims] == [("ns", "10.1.0.2")]


def test_entities_and_depth_are_refused() -> None:
    bomb = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;">]><domain><name>&b;</name></domain>'
    outside = b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain><name>x</name></domain>'
    deep = b"<domain>" + b"<a>" * 100_000
    for data in (bomb, outside, deep, b"<domain><name>x</domain>", b"<a/>", b"no table"):
        with pytest.raises(ValueError, match=r".+"):
            Libvirt().take(data, AT)


def csv(text: str) -> Told:
    told = Told()
    read_claims(text.splitlines(keepends=True), AT, told)
    return told


def test_claims_that_people_write() -> None:
    told = csv(
        "# our list\n"
        "Name,namespace,kind,ip,mac,network,from,to,labels,label:tier\n"
        'db,shop,vm,10.0.0.4,FA-16-3E-00-00-01,vni:5001,2024-11-05T10:00:00+01:00,1730808000,"app=db;env=prod",back\n'
        "gw,,nat,203.0.113.1,,untagged,,,,\n"
    )
    one, two = told.claims
    assert one == Claim(
        "csv:shop/db", "vm", "csv", 1.0, "db", "shop", None, {"app": "db", "env": "prod", "tier": "back"},
        "vni:5001", "10.0.0.4", "fa:16:3e:00:00:01", dt.datetime.fromisoformat("2024-11-05 09:00:00"),
        dt.datetime.fromisoformat("2024-11-05 12:00:00"), AT, None,
    )  # fmt: skip
    assert (two.network, two.kind, two.ts_from, two.labels) == ("", "nat", None, None)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("x,999.1.1.1,,,", "column ip: no address of a host"),
        ("x,127.0.0.1,,,", "column ip: no address of a host"),
        ("x,10.0.0.1,yesterday,,", "column from: no time"),
        ("x,10.0.0.1,,,cluster", "column kind: none of pod, vm, container, host, node, service, nat, name"),
        ("x,10.0.0.1,2024-11-05,2024-11-04,", "column to is before from"),
        (",10.0.0.1,,,", "neither a name nor a uid nor a MAC"),
        ("x,10.0.0.1", "2 cells where the heading has 5"),
        ('x,"10.0.0.1,,,', "not CSV"),
    ],
)
def test_a_wrong_line_costs_itself_and_says_which_column(line: str, cause: str) -> None:
    told = csv(f"name,ip,from,to,kind\na,10.0.0.2,,,\n{line}\nb,10.0.0.3,,,\n")
    assert [claim.name for claim in told.claims] == ["a", "b"]
    assert told.refused() == [(cause, 1, "line 3")]


def test_a_wrong_heading_is_refused_with_its_column() -> None:
    for text, what in (("name,ipp\n", "'ipp'"), ("name\n", "ip is missing"), ("ip,ip\n", "twice"), ("", "no heading")):
        with pytest.raises(HeadingError, match=what):
            csv(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.binary(max_size=200))
def test_anything_is_read_or_refused(text: str, data: bytes) -> None:
    told = csv(f"name,ip,labels\na,10.0.0.2,\n{text}\n")
    claims_batch(told.claims, 1)
    assert told.claims[0].name == "a"
    for read in (lambda: read_ovn(data, AT, Told()), lambda: Libvirt().take(data, AT), lambda: Libvirt().take(b"<" + data, AT)):
        try:
            read()
        except ValueError:
            continue


def test_a_row_without_labels_may_say_so() -> None:
    told = csv("name,ip,labels\na,10.0.0.2,{}\n")
    assert [(claim.name, claim.labels) for claim in told.claims] == [("a", None)]
    assert told.refused() == []
