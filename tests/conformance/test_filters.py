"""The filters of docs/filters.md, and some that fit anything, against Wireshark on captures that others made."""

import subprocess

import pytest

from tests import needs
from tests.conformance.captures import folder, required
from tests.filters.table import Row, Tried, rows, tried

#: Tags, tunnels, IPv6, fragments, odd messages: small captures, in one.
CHOSEN = (
    "communityid/icmp6.pcap",
    "communityid/py-tcp.pcap",
    "communityid/rsvp.pcap",
    "communityid/tcp.pcap",
    "ndpi/http_ipv6.pcap",
    "ndpi/quic_frags_ch_in_multiple_packets.pcapng",
    "ndpi/tls_missing_ch_frag.pcap",
    "suricata/community-id-ipv6/input.pcap",
    "suricata/exception-policy-defrag-01/ipv4frags.pcap",
    "suricata/vxlan-non-zero-reserved-fields/input.pcap",
    "tcpdump/erspan-type-iii-ft-0.pcap",
    "tcpdump/geneve-gcp.pcap",
    "zeek/traces/icmp/icmp6-mldv2.pcap",
    "zeek/traces/mixed-vlan-mpls.pcap",
    "zeek/traces/pppoe-over-qinq.pcap",
    "zeek/traces/tunnels/geneve-many-options.pcap",
)

#: Filters that fit any traffic; with True, among the originator's packets.
ANYWHERE = {
    "ip.addr == 10.0.0.0/8": False,
    "ip.addr == 192.168.0.0/16": False,
    "ip.addr != 192.168.0.0/16": False,
    "ipv6.addr == fe80::/10": False,
    "ipv6.addr == 2001::/16": False,
    "ipv6.dst == ff00::/8": True,
    "tcp.port in {1..1023}": False,
    "tcp.dstport < 1024": True,
    "udp.port == 443": False,
    "tcp.srcport != 443": True,
    "tcp.flags.syn == 1": False,
    "tcp.flags.fin == 1": False,
    "tcp.flags & 0x08": False,
    "icmpv6.type in {133..136}": False,
    "vlan.id > 0": False,
    "eth.addr == 00:00:86:05:80:da": False,
    "ip.proto in {1, 6}": False,
    "tcp && ipv6": False,
    "!(tcp or udp)": False,
}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    made = tmp_path_factory.mktemp("shared")
    files = [folder() / name for name in CHOSEN]
    missing = [str(file) for file in files if not file.exists()]
    if missing:
        (pytest.fail if required() else pytest.skip)(f"not in the set: {', '.join(missing)}")
    subprocess.run(["mergecap", "-F", "pcapng", "-w", made / "whole.pcapng", *files], check=True, timeout=60)
    return tried(made / "whole.pcapng", made / "case")


ASKED = [Row(text, "", text, originator) for text, originator in ANYWHERE.items()]
TABLE = [row for row in rows() if row.wireshark is not None]


@needs.program("tshark")
@needs.program("mergecap")
@pytest.mark.conformance
@pytest.mark.parametrize("row", ASKED + TABLE, ids=lambda row: row.filter)
def test_the_flows_hold_what_wireshark_selects(case: Tried, row: Row) -> None:
    chosen, possible = case.by_wireshark(row)
    assert case.by_filter(row.filter) & possible == chosen
    if row in ASKED:
        assert 0 < len(chosen) < len(possible)
