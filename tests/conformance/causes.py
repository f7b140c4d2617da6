"""Why a capture differs, one line each, found by looking; a difference without a cause fails the tests.

So does a cause without a difference: what has been put right is taken out.
"""

from __future__ import annotations

from typing import Final

_LYING = (
    "the IP header claims more bytes than the frame had on the wire; ours counts what was on the wire (no length is trusted"
    " beyond what is there), tshark counts the claim"
)

#: (check, capture): cause.
CAUSES: Final[dict[tuple[str, str], str]] = {
    ("totals", "libpcap/shb-option-too-long.pcapng"): (
        "deliberately broken section header; capinfos reads nothing, ours reads no packet, says `damaged` and refuses the file"
    ),
    ("pairs", "suricata/http-response-line/input.pcap"): (
        "IPv6 headers with IPv4-mapped addresses (::ffff:1.2.3.4): addresses are kept as 16 bytes with IPv4 mapped, so they"
        " show, and are filtered, as IPv4; Zeek does the same"
    ),
    ("pairs", "tcpdump/LINKTYPE_IPV6_invalid.pcap"): (
        "an IPv4 packet under link type IPV6: ours goes by the header, tshark and tcpdump go by the link type and stop"
    ),
    ("pairs", "tcpdump/bigtcp-ipv4-vxlan-ipv4.pcap"): (
        "BIG TCP: an IPv4 length of 0 stands for the frame's; ours and tcpdump decode the VXLAN inside, this tshark does not"
    ),
    ("pairs", "tcpdump/icmp-cksum-oobr-2.pcap"): _LYING,
    ("pairs", "tcpdump/icmp_inft_name_length_zero.pcap"): _LYING,
    ("pairs", "tcpdump/kh-timed-001-oobr.pcap"): _LYING,
    ("pairs", "tcpdump/rpki-rtr-oobr.pcap"): _LYING,
    ("pairs", "tcpdump/ip_ts_opts_asan.pcap"): (
        "malformed: no byte of ICMP behind the IP options; undecoded (`transport_truncated`) here, an IP pair in tshark"
    ),
    ("pairs", "tcpdump/ipv6-srh-tlv-pad1-padn-5.pcap"): (
        "the field asked of tshark is the first next header (43, routing), ours is the last (59, no next header)"
    ),
    (
        "pairs",
        "zeek/traces/tunnels/geneve-arp.pcap",
    ): "ARP inside Geneve is a row of `arp` here; tshark's innermost IP header is the tunnel's",
    ("biflows of ipfixprobe", "ipfixprobe/netbios.pcap"): (
        "its NetBIOS plugin writes three records of the same three packets where three names are asked for: summed, thrice"
    ),
}
