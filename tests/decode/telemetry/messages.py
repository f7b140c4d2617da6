"""Small encoders of telemetry messages, written from the formats' documents and not from our decoders."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from workbench.decode.telemetry.collector import Collector, Message

Fields = Sequence[tuple[int, int] | tuple[int, int, int]]  # element, length[, enterprise]
SENT = 1_700_000_000

#: Addresses, ports, protocol, flags, bytes, packets, start and end (ms), why it ended.
BASIC: Fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 2), (1, 8), (2, 8), (152, 8), (153, 8), (136, 1))


def basic(src: str, dst: str, sport: int, dport: int, **more: int) -> bytes:
    """A record of BASIC. more: proto, flags, size, packets, start, end (ms), reason."""
    start = more.get("start", SENT * 1000)
    return (
        ipaddress.ip_address(src).packed
        + ipaddress.ip_address(dst).packed
        + struct.pack(">HHBH", sport, dport, more.get("proto", 6), more.get("flags", 0x1B))
        + struct.pack(">QQ", more.get("size", 100), more.get("packets", 1))
        + struct.pack(">QQB", start, more.get("end", start), more.get("reason", 3))
    )


def field(entry: Sequence[int]) -> bytes:
    if len(entry) == 3:
        return struct.pack(">HHI", entry[0] | 0x8000, entry[1], entry[2])
    return struct.pack(">HH", *entry)


def a_set(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, 4 + len(body)) + body


def template(number: int, fields: Fields, *, ipfix: bool = True) -> bytes:
    body = struct.pack(">HH", number, len(fields)) + b"".join(field(f) for f in fields)
    return a_set(2 if ipfix else 0, body)


def options_template(number: int, scopes: Fields, fields: Fields, *, ipfix: bool = True) -> bytes:
    both = b"".join(field(f) for f in (*scopes, *fields))
    if ipfix:
        return a_set(3, struct.pack(">HHH", number, len(scopes) + len(fields), len(scopes)) + both)
    return a_set(1, struct.pack(">HHH", number, 4 * len(scopes), 4 * len(fields)) + both)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 1, sent: int = SENT) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), sent, sequence, domain) + body


def netflow9(*sets: bytes, sequence: int = 0, source: int = 1, sent: int = SENT, uptime: int = 1_000_000) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), uptime, sent, sequence, source) + b"".join(sets)


def netflow5_record(src: str, dst: str, sport: int, dport: int, *, packets: int = 1, size: int = 100, flags: int = 0x1B) -> bytes:
    head = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + bytes(4)
    counts = struct.pack(">HHIIII", 1, 2, packets, size, 990_000, 995_000)
    return head + counts + struct.pack(">HHBBBBHHBBH", sport, dport, 0, flags, 6, 0, 0, 0, 24, 24, 0)


def netflow5(*records: bytes, sequence: int = 0, count: int | None = None, sampling: int = 0) -> bytes:
    told = len(records) if count is None else count
    return struct.pack(">HHIIIIBBH", 5, told, 1_000_000, SENT, 500_000_000, sequence, 0, 0, sampling) + b"".join(records)


def sflow(*samples: bytes, sequence: int = 1, agent: str = "192.0.2.9", count: int | None = None) -> bytes:
    told = len(samples) if count is None else count
    address = ipaddress.ip_address(agent).packed
    return struct.pack(">II", 5, 1) + address + struct.pack(">IIII", 0, sequence, 5000, told) + b"".join(samples)


def header_sample(frame: bytes, *, rate: int = 4, wire: int = 0, kind: int = 1) -> bytes:
    raw = struct.pack(">IIII", 1, wire or len(frame), 4, len(frame)) + frame + bytes(-len(frame) % 4)
    head = struct.pack(">IIIIIIII", 1, 2, rate, 100, 0, 2, 3, 1)
    body = head + struct.pack(">II", 1, len(raw)) + raw
    return struct.pack(">II", kind, len(body)) + body


def counter_sample(values: Sequence[int]) -> bytes:
    record = struct.pack(">IIQIIQIIIIIIQIIIIII", *values)
    body = struct.pack(">III", 1, 2, 1) + struct.pack(">II", 1, len(record)) + record
    return struct.pack(">II", 2, len(body)) + body


class Collected:
    """What a collector makes of messages that came one after the other."""

    def __init__(self, messages: Iterable[bytes], samples: Any = None, rows: int = 64) -> None:
        self.batches: list[np.ndarray[Any, Any]] = []
        self.collector = Collector(lambda found: self.batches.append(found.copy()), samples, rows)
        self.taken = []
        for n, message in enumerate(messages, 1):
            buf = np.frombuffer(message, np.uint8)
            self.taken.append(self.collector.take(buf, 0, len(buf), Message(n, SENT * 10**9, "198.51.100.7", 4000)))
        self.collector.finish()

    @property
    def rows(self) -> np.ndarray[Any, Any]:
        return np.concatenate(self.batches) if self.batches else np.empty((0, 48), np.int64)

    def ledger(self, exporter: int = 0) -> dict[str, int]:
        lines = self.collector.exporters[exporter].tally.ledger()
        return {line.reason: line.count for line in lines}
