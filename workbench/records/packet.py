"""The rows that kernels exchange: one FRAME per record of a capture, one PACKET per decoded frame.

Both are NumPy structured types, reused chunk by chunk (a few thousand rows that stay in the L2
cache), so no Python object exists per packet. Widths are what the wire allows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

#: One captured record, as framing leaves it. Offsets `rec` and `off` are relative to the buffer.
FRAME: Final = np.dtype(
    [
        ("ts", np.int64),  # nanoseconds since 1970-01-01 UTC
        ("rec", np.int64),  # where the record (its header) starts in the buffer
        ("off", np.int64),  # where the packet bytes start in the buffer
        ("cap", np.uint32),  # bytes captured, all of them inside the buffer
        ("wire", np.uint32),  # bytes on the wire
        ("link", np.uint32),  # LINKTYPE_ value (tcpdump.org/linktypes.html)
        ("iface", np.uint32),  # interface number within the source
    ],
    align=True,
)

#: PACKET.status
FLOW: Final = 0  # part of a flow
ARP: Final = 1  # a row of `arp`: src_lo/dst_lo hold the IPv4 addresses, src_port the operation
UNDECODED: Final = 2  # counted in the ledger under PACKET.reason

#: PACKET.marks, ORed
FRAG_FIRST: Final = 1  # first fragment (offset 0, more to come); frag_key is set
FRAG_LATER: Final = 2  # later fragment: no ports; joins the flow that owns frag_key
L4_BAD: Final = 4  # transport checksum present, wholly captured and wrong
L4_OFFLOAD: Final = 8  # checksum field holds just the pseudo-header sum: left to the card
CUT: Final = 16  # captured shorter than on the wire (snap length)
PORTS: Final = 32  # src_port and dst_port are meaningful (TCP, UDP, SCTP, ICMP)
INNER_UNDECODED: Final = 64  # a tunnel header was seen, its inside could not be decoded: outer row
ICMP_PAIRED: Final = 128  # ICMP: ports are type and counterpart type, so both directions share a row
ICMP_REPLY: Final = 256  # ICMP: this type answers its counterpart (echo reply and the like)
L4_UNCHECKED: Final = 512  # checksum not verified (cut, fragment, zero UDP checksum, not carried)
L3_BAD: Final = 1024  # IPv4 header checksum wrong (the row is still a flow unless settings refuse it)

#: One decoded packet. Addresses are 128 bits in two host-order halves, IPv4 mapped (::ffff:a.b.c.d).
#: outer_* and `vni` are valid only where `tunnel` is not 0; seq, ack, window and flags only for TCP.
PACKET: Final = np.dtype(
    [
        ("ts", np.int64),  # nanoseconds
        ("rec", np.int64),  # record start in the buffer (add the buffer's base for a source offset)
        ("end", np.int64),  # first byte behind the captured packet in the buffer
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("frag_key", np.uint64),  # hash of (src, dst, protocol, id) of the fragmented header
        ("src_mac", np.int64),  # 48 bits, innermost Ethernet; -1 where there is none
        ("dst_mac", np.int64),
        ("outer_src_hi", np.uint64),
        ("outer_src_lo", np.uint64),
        ("outer_dst_hi", np.uint64),
        ("outer_dst_lo", np.uint64),
        ("outer_src_mac", np.int64),
        ("outer_dst_mac", np.int64),
        ("tunnel", np.uint64),  # tunnel codes, 8 bits each, innermost in the lowest byte; 0 = none
        ("pay", np.int64),  # where the transport payload starts in the buffer
        ("pay_cap", np.uint32),  # payload bytes captured (0 when none)
        ("payload", np.uint32),  # transport payload bytes by the headers
        ("ip_bytes", np.uint32),  # IP total length by the header (header included)
        ("wire", np.uint32),  # frame bytes on the wire
        ("seq", np.uint32),
        ("ack", np.uint32),
        ("vni", np.int32),  # innermost VXLAN/Geneve/NVGRE network id; -1 where there is none
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("window", np.uint16),
        ("flags", np.uint16),  # TCP flags FIN=1 SYN=2 RST=4 PSH=8 ACK=16 URG=32 ECE=64 CWR=128 AE=256
        ("vlan", np.int16),  # first tag of the innermost Ethernet header; -1 absent
        ("inner_vlan", np.int16),  # its second tag
        ("outer_vlan", np.int16),
        ("marks", np.uint16),
        ("proto", np.uint8),  # IANA protocol number of the innermost IP
        ("version", np.uint8),  # 4 or 6
        ("status", np.uint8),
        ("reason", np.uint8),
        ("detail", np.uint32),  # for the ledger: EtherType, link type, protocol that was not decoded
    ],
    align=True,
)

#: Tunnel codes as they stand in PACKET.tunnel; the text is what `flows.tunnel` shows.
TUNNELS: Final[dict[int, str]] = {
    1: "gre",
    2: "nvgre",
    3: "erspan1",
    4: "erspan2",
    5: "erspan3",
    6: "vxlan",
    7: "vxlan-gpe",
    8: "geneve",
    9: "gtpu",
    10: "ipip",
    11: "6in4",
    12: "4in6",
    13: "6in6",
    14: "teredo",
    15: "ayiya",
    16: "mpls-udp",
    17: "capwap",
    18: "etherip",
    19: "mpls-ip",
}
TUNNEL_CODES: Final[dict[str, int]] = {name: code for code, name in TUNNELS.items()}

#: How deep tunnels are followed: 8 codes fit PACKET.tunnel.
MAX_TUNNELS: Final = 8
