"""Telemetry to rows, for one stream of files: messages found, decoded, their records paired, by exporter.

The files are captures of datagrams, or hold the messages themselves. Each exporter becomes a source of its own; what it is called
and what it sent is in `Feed`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.framing import Framer, open_framer
from workbench.decode.nfdump.reader import Reader, is_nfcapd
from workbench.decode.packets import decode_frames
from workbench.decode.telemetry.collector import Collector, Message
from workbench.decode.telemetry.exporters import Exporter
from workbench.decode.telemetry.framing import MORE, message_length
from workbench.errors import BadInputError
from workbench.flows.telemetry.pairing import Batch, PairingTable
from workbench.records.packet import FLOW, FRAG_FIRST, FRAG_LATER, FRAME, PACKET
from workbench.records.reasons import LedgerLine
from workbench.records.telemetry_kinds import FORMATS
from workbench.settings import FlowSettings
from workbench.sources.blocks import Block
from workbench.sources.peek import telemetry_kind
from workbench.workflows.telemetry_samples import SampleTables

CHUNK: Final = 2048
_UDP: Final = 17
#: Interfaces told of in the ledger.
_INTERFACES: Final = 256
_NOTHING: Final = np.empty(0, np.uint8)

Tables = dict[str, pa.RecordBatch]


@dataclass(slots=True)
class Feed:
    """What becomes one source: an exporter's records, or its samples at one rate. sensor: what it is called."""

    kind: str
    sensor: str
    exporter: Exporter
    main: bool = True  # whether the exporter's own ledger is told here
    packets: int = 0
    flows: int = 0
    unpaired: int = 0
    first: int | None = None
    last: int | None = None
    sampled: list[LedgerLine] = field(default_factory=list)  # what its samples tell
    lines: list[LedgerLine] = field(default_factory=list)

    def saw(self, first: int, last: int) -> None:
        """Flows between two times (ns)."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)


class TelemetryPipeline:
    """Feed it the blocks of each file in order; take what ended with `drain`.

    wanted: the format asked for (see FORMATS), or None: whatever it is. sensor: the name where no address tells one.
    """

    def __init__(self, sensor: str, settings: FlowSettings, active: float, wanted: str | None, key: bytes = b"") -> None:
        self.sensor = sensor
        self.kinds = FORMATS[wanted] if wanted is not None else None
        self.feeds: list[Feed] = []
        self.framer: Framer | None = None
        self.offset = 0
        self.messages = 0  # of telemetry
        self.frames = 0  # packets of captures, or messages of raw files
        self.others = 0
        self._fragments = 0
        self._table = PairingTable(settings.server_ports(), active)
        self._samples = SampleTables(settings, key)
        self._collector = Collector(self._pair, self._samples)
        self._by_exporter: dict[int, Feed] = {}
        self._ended: list[Batch] = []
        self._raw = False
        self._nfdump: Reader | None = None
        self._is_nfdump = False
        self._base = 0
        self._tail: NDArray[np.uint8] = _NOTHING
        self._frames = np.empty(CHUNK, FRAME)
        self._packets = np.empty(CHUNK, PACKET)
        self._started = False
        self._leftover = 0

    # -- bytes ------------------------------------------------------------------------------------

    def start_file(self, base: int) -> None:
        """The next block begins a file whose first byte stands at `base` in the stream."""
        self.framer = None
        self._started = False
        self._base = base
        self._tail = _NOTHING

    def feed(self, block: Block) -> None:
        """Take every whole message of the block. BadInputError where the file begins like neither telemetry nor a capture."""
        data = block.data[block.start : block.end]
        if len(self._tail):
            data = np.concatenate((self._tail, data))
        base = self._base + block.offset - len(self._tail)
        if not self._started:
            self._started = True
            head = data[:4096].tobytes()
            self._is_nfdump = is_nfcapd(head)
            self._raw = not self._is_nfdump and telemetry_kind(head) is not None
            if self._is_nfdump:
                self._reader().start_file()
            elif not self._raw:
                self.framer = open_framer(head)
        self._tail = self._take(data, base, eof=False)

    def end_file(self) -> None:
        """The file is over."""
        if not self._started:
            raise BadInputError("the file is empty", "Check how it was copied or captured.")
        left = self._take(self._tail, self.offset, eof=True)
        self._leftover += len(left) if self._raw else 0
        self._tail = _NOTHING

    def _take(self, data: NDArray[np.uint8], base: int, *, eof: bool) -> NDArray[np.uint8]:
        """Messages of data; what is left for the next block, copied."""
        take = self._take_nfdump if self._is_nfdump else self._take_raw if self._raw else self._take_frames
        at = take(data, eof=eof)
        self.offset = base + at
        self._samples.flush(data)
        return data[at:].copy()

    def _take_nfdump(self, data: NDArray[np.uint8], *, eof: bool) -> int:
        reader = self._reader()
        exporter = self._collector.known("nfdump", "")
        blocks = reader.blocks
        at = reader.take(data, eof=eof)
        exporter.records = reader.records
        exporter.messages += reader.blocks - blocks
        self.messages += reader.blocks - blocks
        return at

    def _reader(self) -> Reader:
        """The reader of nfdump's files: all of a stream are of one exporter, whose domains are what nfdump calls exporters."""
        if self._nfdump is None:
            exporter = self._collector.known("nfdump", "")
            self._nfdump = Reader(exporter.number, exporter.tally, self._pair)
        return self._nfdump

    def _take_raw(self, data: NDArray[np.uint8], *, eof: bool) -> int:
        at = 0
        while at < len(data):
            length = message_length(data, at, len(data), eof=eof)
            if length == MORE:
                break
            if length <= 0:  # what comes is no message, and nothing says where the next one begins
                if not eof:
                    self._leftover += len(data) - at
                return len(data) if not eof else at
            self.frames += 1
            self._message(data, at, at + length, Message(self.frames))
            at += length
        return at

    def _take_frames(self, data: NDArray[np.uint8], *, eof: bool) -> int:
        framer, frames, packets = self.framer, self._frames, self._packets
        assert framer is not None
        start = 0
        while True:
            n, at = framer.frame(data, start, len(data), eof, frames)
            if n:
                decode_frames(data, frames, n, packets, 0)
                self._datagrams(data, packets[:n])
                self._samples.flush(data)
                self.frames += n
            elif at == start:
                return start
            start = at

    def _datagrams(self, data: NDArray[np.uint8], packets: NDArray[Any]) -> None:
        """The payloads of whole UDP datagrams; the rest is counted."""
        udp = (packets["status"] == FLOW) & (packets["proto"] == _UDP)
        fragments = packets["marks"] & (FRAG_FIRST | FRAG_LATER) != 0
        whole = udp & ~fragments & (packets["pay_cap"] > 0)
        self._fragments += int((udp & fragments).sum())
        self.others += len(packets) - int(whole.sum())
        for n in np.flatnonzero(whole).tolist():
            p = packets[n]
            pay, ts = int(p["pay"]), int(p["ts"])
            source = _address(int(p["src_hi"]), int(p["src_lo"]))
            message = Message(self.frames + n + 1, ts, source, int(p["src_port"]))
            self._message(data, pay, pay + int(p["pay_cap"]), message)

    def _message(self, data: NDArray[np.uint8], start: int, end: int, message: Message) -> None:
        if self.kinds is not None:
            kind = telemetry_kind(data[start : min(end, start + 96)].tobytes())
            if kind is not None and kind not in self.kinds:
                self.others += 1
                return
        if self._collector.take(data, start, end, message):
            self.messages += 1
        else:
            self.others += 1

    # -- rows -------------------------------------------------------------------------------------

    def _pair(self, rows: NDArray[np.int64]) -> None:
        for exporter in self._collector.exporters:
            if exporter.active:
                self._table.set_window(exporter.active)
        self._ended += self._table.add(rows)

    def pending(self) -> int:
        """Rows that came since the last `drain`."""
        return sum(int(batch.flows.num_rows) for batch in self._ended) + self._samples.pending()

    def drain(self) -> Iterator[tuple[int, Tables]]:
        """What ended since the last call: the number of a feed, and its tables."""
        ended, self._ended = self._ended, []
        for batch in ended:
            n, feed = self._feed(self._collector.exporters[batch.exporter])
            feed.packets += batch.packets
            feed.flows += batch.flows.num_rows
            feed.unpaired += batch.unpaired
            feed.saw(batch.first, batch.last)
            yield n, {"flows": batch.flows, "flow_slices": batch.slices}
        yield from self._sampled(whole=False)
        for exporter, counters in self._samples.drain_counters():
            yield self._feed(exporter)[0], {"interface_counters": counters}

    def finish(self) -> Iterator[tuple[int, Tables]]:
        """Everything is over: what is left; the ledgers of the feeds."""
        self._collector.finish()
        self._ended += self._table.finish()
        yield from self.drain()
        yield from self._sampled(whole=True)
        for exporter in self._collector.exporters:
            if exporter.messages:
                self._feed(exporter)
        for feed in self.feeds:
            feed.lines = self.lines(feed)
        if self.feeds:
            self.feeds[0].lines += self.own_lines()

    def _sampled(self, *, whole: bool) -> Iterator[tuple[int, Tables]]:
        for sampled in self._samples.drain(whole=whole):
            n, feed = self._feed(sampled.exporter, sampled.part)
            feed.packets, feed.flows = sampled.packets, sampled.flows
            if sampled.first is not None and sampled.last is not None:
                feed.saw(sampled.first, sampled.last)
            feed.sampled = sampled.lines
            if sampled.tables:
                yield n, sampled.tables

    def _feed(self, exporter: Exporter, part: str = "") -> tuple[int, Feed]:
        """The feed of an exporter, made when it is first met; part: which of its samples, '' the first."""
        name = exporter.address or self.sensor
        sensor = f"{name} {part}" if part else name
        for n, feed in enumerate(self.feeds):
            if feed.exporter is exporter and feed.sensor == sensor:
                return n, feed
        self.feeds.append(Feed(exporter.kind, sensor, exporter, main=not part))
        return len(self.feeds) - 1, self.feeds[-1]

    def lines(self, feed: Feed) -> list[LedgerLine]:
        """What the ledger is told of a feed, so far."""
        if not feed.main:
            return feed.sampled
        exporter = feed.exporter
        told = f"{exporter.messages} messages, {exporter.templates} templates, {exporter.options} options records or counters"
        if exporter.kind == "nfdump":
            told = f"{exporter.messages} blocks of nfdump's files"
        lines = [*feed.sampled, LedgerLine("telemetry_read", exporter.records, (), told), *exporter.tally.ledger()]
        for index, counters in sorted(exporter.interfaces.items())[:_INTERFACES]:
            if counters:
                told = f"interface {index}: " + ", ".join(f"{name} {count}" for name, count in counters.items())
                lines.append(LedgerLine("interface_losses", sum(counters.values()), (), told))
        if feed.unpaired:
            lines.append(LedgerLine("records_unpaired", feed.unpaired))
        return lines

    def own_lines(self) -> list[LedgerLine]:
        """What concerns no single exporter."""
        lines = list(self._collector.tally.ledger())
        if self._table.merged:
            lines.append(LedgerLine("records_merged", self._table.merged))
        if self._table.evicted:
            lines.append(LedgerLine("flow_table_full", self._table.evicted))
        if self.others:
            detail = f"{self._fragments} of them fragments of datagrams" if self._fragments else ""
            lines.append(LedgerLine("not_telemetry", self.others, (), detail))
        if self._leftover:
            lines.append(LedgerLine("damaged", self._leftover, (), "bytes behind the last message"))
        return lines


def _address(high: int, low: int) -> str:
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(high << 64 | low))
