"""sFlow 5 (sflow.org/sflow_version_5.txt): sampled packet headers, interface counters, packets that were dropped.

A sampled header is a frame like that of a capture: it goes to the packet decoder, with the length it had on the wire. All
numbers are XDR: big-endian, in units of four bytes.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from workbench.decode.telemetry.wire import Wire

if TYPE_CHECKING:
    from workbench.decode.telemetry.collector import Collector, Message
    from workbench.decode.telemetry.exporters import Exporter

_WORD: Final = struct.Struct(">I")
_TWO: Final = struct.Struct(">II")
_FLOW, _COUNTERS, _FLOW_WIDE, _COUNTERS_WIDE, _DISCARD = 1, 2, 3, 4, 5
_RAW_HEADER: Final = 1
_INTERFACE: Final = 1
#: header_protocol to LINKTYPE: Ethernet, PPP, IPv4 and IPv6 as they are.
_LINKS: Final = {1: 1, 7: 9, 11: 228, 12: 229}
_MOST_SAMPLES: Final = 1024
_HIGHEST_RATE: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Sample:
    """A sampled header buf[start:end]. rate: 1 in N; dropped: whether it is a packet that was not forwarded."""

    exporter: Exporter
    message: int
    ts: int
    start: int
    end: int
    wire: int
    link: int
    rate: int
    dropped: bool


#: Generic interface counters, in the order of their bytes.
COUNTERS: Final = struct.Struct(">IIQIIQIIIIIIQIIIIII")
COUNTER_NAMES: Final = (
    *("if_index", "if_type", "speed", "direction", "status", "in_bytes", "in_unicast", "in_multicast", "in_broadcast"),
    *("in_discards", "in_errors", "in_unknown", "out_bytes", "out_unicast", "out_multicast", "out_broadcast"),
    *("out_discards", "out_errors", "promiscuous"),
)


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of an interface at a moment (RFC 2233's, generic interface counters of sFlow)."""

    exporter: Exporter
    ts: int
    values: tuple[int, ...]
    agent: str = ""

    def by_name(self) -> dict[str, int]:
        """The values by COUNTER_NAMES."""
        return dict(zip(COUNTER_NAMES, self.values, strict=True))


class Samples(Protocol):
    """What takes samples, while the buffer they lie in is still there."""

    def sample(self, buf: Wire, sample: Sample) -> None:
        """A sampled packet header."""

    def counters(self, counters: Counters) -> None:
        """Counters of an interface."""


def is_message(buf: Wire, start: int, end: int) -> bool:
    """Whether an sFlow 5 message begins there: version 5 and an address of a known kind."""
    return end - start >= 28 and _TWO.unpack_from(buf, start) in ((5, 1), (5, 2))


def _agent(buf: Wire, start: int) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    (kind,) = _WORD.unpack_from(buf, start + 4)
    size = 4 if kind == 1 else 16
    return ipaddress.ip_address(buf[start + 8 : start + 8 + size].tobytes()), start + 8 + size


def take(collector: Collector, buf: Wire, start: int, end: int, message: Message) -> int:
    """One message; returns where it ends."""
    agent, at = _agent(buf, start)
    if end - at < 16:
        return start
    sub_agent, sequence, uptime, count = struct.unpack_from(">IIII", buf, at)
    at += 16
    exporter = collector.exporter("sflow", message)
    domain = None if exporter is None else exporter.domain(sub_agent, int(agent), "messages")
    if exporter is None or domain is None:
        return end
    where = f"agent {agent}" + (f" sub-agent {sub_agent}" if sub_agent else "")
    domain.numbering.see(sequence, 1, sure=True, tally=exporter.tally, message=message.number, where=where)
    reader = _Reader(collector, exporter, message, message.ts or uptime * 1_000_000, str(agent))
    for _ in range(min(count, _MOST_SAMPLES)):
        if end - at < 8:
            reader.malformed("fewer samples than it says")
            return end
        kind, length = _TWO.unpack_from(buf, at)
        at += 8
        if length > end - at:
            reader.malformed("a sample longer than its message")
            return end
        reader.take(buf, kind, at, at + length)
        at += length
    return at


class _Reader:
    """The samples of one message."""

    def __init__(self, collector: Collector, exporter: Exporter, message: Message, ts: int, agent: str) -> None:
        self.samples = collector.samples
        self.exporter = exporter
        self.number = message.number
        self.ts = ts
        self.agent = agent

    def malformed(self, why: str) -> None:
        self.exporter.tally.add("telemetry_malformed", 1, self.number, why)

    def take(self, buf: Wire, kind: int, at: int, end: int) -> None:
        """One sample; those of other enterprises are told, not read."""
        if kind in (_FLOW, _FLOW_WIDE):
            self._flow(buf, at, end, wide=kind == _FLOW_WIDE)
        elif kind in (_COUNTERS, _COUNTERS_WIDE):
            self._counters(buf, at + (12 if kind == _COUNTERS else 16), end)
        elif kind == _DISCARD:
            self._discard(buf, at, end)
        else:
            self.exporter.tally.add("fields_unknown", 1, self.number, f"sample {kind >> 12}:{kind & 0xFFF}")

    def _flow(self, buf: Wire, at: int, end: int, *, wide: bool) -> None:
        words = 11 if wide else 8
        if end - at < 4 * words:
            self.malformed("a flow sample cut short")
            return
        found = struct.unpack_from(f">{words}I", buf, at)
        rate, records = found[3 if wide else 2], found[-1]
        self.exporter.records += 1
        rate = min(max(rate, 1), _HIGHEST_RATE)
        if rate > 1:
            self.exporter.tally.add("sampled", 1, self.number, f"1 in {rate}")
        self._records(buf, at + 4 * words, end, records, rate, dropped=False)

    def _discard(self, buf: Wire, at: int, end: int) -> None:
        """sFlow's dropped packet notifications: sequence, source, drops, in, out, reason, records."""
        words = 8
        if end - at < 4 * words:
            self.malformed("a discarded packet cut short")
            return
        found = struct.unpack_from(f">{words}I", buf, at)
        self.exporter.records += 1
        self._records(buf, at + 4 * words, end, found[-1], 1, dropped=True)

    def _records(self, buf: Wire, at: int, end: int, count: int, rate: int, *, dropped: bool) -> None:
        headers = 0
        for _ in range(min(count, _MOST_SAMPLES)):
            if end - at < 8:
                self.malformed("fewer records in a sample than it says")
                break
            kind, length = _TWO.unpack_from(buf, at)
            at += 8
            if length > end - at:
                self.malformed("a record longer than its sample")
                break
            if kind == _RAW_HEADER and length >= 16:
                headers += self._raw(buf, at, at + length, rate, dropped=dropped)
            at += (length + 3) // 4 * 4
        if not headers:
            self.exporter.tally.add("records_unkeyed", 1, self.number, "a sample without a packet header")

    def _raw(self, buf: Wire, at: int, end: int, rate: int, *, dropped: bool) -> int:
        protocol, wire, _, length = struct.unpack_from(">IIII", buf, at)
        link = _LINKS.get(protocol)
        at += 16
        if length > end - at or link is None:
            self.malformed("a header longer than its record" if link is not None else f"header protocol {protocol}")
            return 0
        if self.samples is not None:
            sample = Sample(self.exporter, self.number, self.ts, at, at + length, max(wire, length), link, rate, dropped)
            self.samples.sample(buf, sample)
        return 1

    def _counters(self, buf: Wire, at: int, end: int) -> None:
        """Generic interface counters; others are stepped over."""
        if end < at:
            self.malformed("a counter sample cut short")
            return
        (count,) = _WORD.unpack_from(buf, at - 4)
        self.exporter.options += 1
        for _ in range(min(count, _MOST_SAMPLES)):
            if end - at < 8:
                self.malformed("fewer counter records than it says")
                return
            kind, length = _TWO.unpack_from(buf, at)
            at += 8
            if length > end - at:
                self.malformed("a counter record longer than its sample")
                return
            if kind == _INTERFACE and length >= COUNTERS.size and self.samples is not None:
                self.samples.counters(Counters(self.exporter, self.ts, COUNTERS.unpack_from(buf, at), self.agent))
            at += (length + 3) // 4 * 4
