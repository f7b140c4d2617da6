"""Files of nfdump 1.6 (layout 1), written here byte by byte: nfdump itself reads them, and writes them anew in its own layout."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

#: What every flow record has, in front of what its map adds.
REQUIRED: Final = (1, 2, 3)
SECOND: Final = 1_773_533_400


@dataclass(frozen=True)
class Flow:
    """One record. wide: counters of 64 bits. vlan, out: in extensions 13, 15 and 17, which its map must name."""

    src: str
    dst: str
    sport: int
    dport: int
    proto: int = 6
    packets: int = 3
    size: int = 300
    start: int = SECOND * 1000
    lasts: int = 1500
    flags: int = 0x1B
    status: int = 0
    wide: bool = False
    vlan: int | None = None
    out: tuple[int, int] | None = None

    @property
    def shape(self) -> int:
        """The number of its map."""
        return (self.vlan is not None) | (self.out is not None) << 1


def extension_map(number: int) -> bytes:
    """The map of that number: bit 0 adds VLANs, bit 1 the counters of the other direction."""
    listed = [*REQUIRED, *([13] if number & 1 else []), *([15, 17] if number & 2 else []), 0]
    if len(listed) % 2:
        listed.append(0)
    body = struct.pack(f"<HH{len(listed)}H", number, 16 * bool(number & 2) + 4 * (number & 1), *listed)
    return struct.pack("<HH", 2, 4 + len(body)) + body


def record(flow: Flow, kind: int = 10) -> bytes:
    """A common record of type 1 or 10."""
    end = flow.start + flow.lasts
    six = ":" in flow.src
    flags = six | flow.wide << 1 | flow.wide << 2
    times = struct.pack("<HHII", flow.start % 1000, end % 1000, flow.start // 1000, end // 1000)
    rest = struct.pack("<BBBBHH", flow.status, flow.flags, flow.proto, 0, flow.sport, flow.dport)
    body = times + rest + (struct.pack("<HH", 7, 0) if kind == 10 else b"")
    for name in (flow.src, flow.dst):
        address = int(ipaddress.ip_address(name))
        body += struct.pack("<QQ", address >> 64, address & (1 << 64) - 1) if six else struct.pack("<I", address)
    body += struct.pack("<QQ" if flow.wide else "<II", flow.packets, flow.size)
    if flow.vlan is not None:
        body += struct.pack("<HH", flow.vlan, 0)
    if flow.out is not None:
        body += struct.pack("<QQ", *flow.out)
    size = 8 + len(body)
    head = struct.pack("<HHH", kind, size, flags) if kind == 10 else struct.pack("<HHBB", kind, size, flags, 7)
    return head + struct.pack("<H", flow.shape) + body


def block(*records: bytes, kind: int = 2) -> bytes:
    """A data block that is not packed."""
    body = b"".join(records)
    return struct.pack("<IIHH", len(records), len(body), kind, 1) + body


def layout_one(flows: list[Flow], kind: int = 10, flags: int = 0) -> bytes:
    """A whole file: header, statistics, one block with its maps before its flows."""
    maps = [extension_map(n) for n in sorted({flow.shape for flow in flows})]
    head = struct.pack("<HHII", 0xA50C, 1, flags, 1) + b"made here".ljust(128, b"\0")
    total = [len(flows), sum(f.size for f in flows), sum(f.packets for f in flows)]
    stat = struct.pack("<15Q", *total, *[0] * 12) + struct.pack("<IIHHI", SECOND, SECOND + 9, 0, 0, 0)
    return head + stat + block(*maps, *(record(flow, kind) for flow in flows))


#: Both families, both widths, every map, ICMP, a dropped flow.
FLOWS: Final = [
    Flow("192.0.2.1", "198.51.100.2", 40000, 443),
    Flow("198.51.100.2", "192.0.2.1", 443, 40000, packets=2, size=2000, start=SECOND * 1000 + 20, flags=0x1A),
    Flow("192.0.2.9", "198.51.100.2", 40001, 53, proto=17, flags=0, vlan=100),
    Flow("2001:db8::1", "2001:db8:1::2", 50000, 22, packets=1 << 33, size=1 << 40, wide=True, start=SECOND * 1000 + 999),
    Flow("192.0.2.1", "192.0.2.7", 0, 8 << 8, proto=1, flags=0),
    Flow("192.0.2.1", "192.0.2.8", 41000, 25, flags=2, status=130, lasts=0, out=(7, 900), vlan=4),
]
