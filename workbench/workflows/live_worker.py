"""The decoding process of a live source: packets as they come, and once a second what became of them.

The clock of the flow table goes on while no packet comes: it is the last packet's time plus what passed since, so that a
stream of old packets (a capture on standard input) ends its flows as a live one does, and a clock that jumps does so once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import WorkbenchError
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings
from workbench.workflows.evidence import EvidencePlan
from workbench.workflows.worker import BATCH_ROWS, IN_FLIGHT, Ready, Report

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.sources.bytes import ByteReader
    from workbench.sources.live_blocks import LiveBlocks
    from workbench.workflows.live_pipeline import LivePipeline

#: Seconds between shipments, and the longest a loop waits for bytes.
_EVERY: Final = 1.0
_WAIT: Final = 0.05
#: Bytes that tell what kind of capture a stream is.
_HEADER: Final = 64
#: Rows that may wait for a parent that is busy before the decoder waits for it, too.
_MOST_WAITING: Final = 16 * BATCH_ROWS


@dataclass(frozen=True, slots=True)
class LiveJob:
    """One live source. Streams are handed over one at a time with `Stream`, each followed by its descriptor."""

    source_id: int
    sensor: str
    flows: FlowSettings
    hash_key: bytes
    bpf: str | None
    evidence: EvidencePlan


@dataclass(frozen=True, slots=True)
class Stream:
    """Announces the descriptor of the next stream of the source. pid: of the program that writes it, where there is one."""

    pid: int | None = None


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream is over. error: what is wrong with it; dropped: what its own statistics say was lost."""

    error: WorkbenchError | None
    dropped: int | None


@dataclass(frozen=True, slots=True)
class LiveTick:
    """What the source has come to. ts_first, ts_last, ts_now: ns, None before the first packet; behind: bytes not yet taken."""

    frames: int
    packets: int
    bytes: int
    flows: int
    open_flows: int
    ts_first: int | None
    ts_last: int | None
    ts_now: int | None
    behind: int
    links: tuple[int, ...]
    snaplens: tuple[int, ...]
    dropped: int | None
    lines: tuple[LedgerLine, ...]


@dataclass(slots=True)
class _Late:
    """A reader that is opened by whoever reads first: that waits for the first bytes."""

    path: str
    fd: int
    reader: ByteReader | None = None

    def readinto(self, into: memoryview, /) -> int:
        if self.reader is None:
            from workbench.sources.bytes import open_bytes

            self.reader = open_bytes(self.path)
            os.close(self.fd)
        return self.reader.readinto(into)


@dataclass(slots=True)
class _Said:
    """What streams that are over had to say."""

    links: list[int] = field(default_factory=list)
    snaplens: list[int] = field(default_factory=list)
    lines: list[LedgerLine] = field(default_factory=list)
    dropped: int | None = None


class LiveRun:
    """Reads streams until it is told to finish."""

    def __init__(self, conn: Connection[Any, Any], job: LiveJob, loading: threading.Thread) -> None:
        self.conn = conn
        self.job = job
        self.loading = loading
        self.loaded = False
        self.in_flight = 0
        self.blocks: LiveBlocks | None = None
        self.program: int | None = None
        self.finishing = False
        self.stopping = False
        self.said = _Said()
        self.bytes = 0
        self.heard = time.monotonic()  # when the last packets came
        self.shown: tuple[int, int] | None = None

    def run(self) -> None:
        """Until the parent says `finish`: then everything left, and the report."""
        self.loading.join()
        from workbench.workflows.evidence import Evidence
        from workbench.workflows.live_pipeline import LivePipeline
        from workbench.workflows.worker import _selection

        job = self.job
        self.evidence = Evidence(job.evidence, job.source_id, self.conn.send)
        self.pipeline: LivePipeline = LivePipeline(
            job.source_id, job.sensor, job.flows, _selection(job.bpf), job.hash_key, self.evidence
        )
        self.loaded = True
        self.conn.send(Ready())
        due = time.monotonic() + _EVERY
        while not self.finishing:
            self._listen()
            self._read()
            if time.monotonic() >= due or self.pipeline.table.pending() >= BATCH_ROWS:
                due = time.monotonic() + _EVERY
                self._second()
        self._end_stream(None)
        self.evidence.end()
        self._send({**self.pipeline.table.finish(), **self.pipeline.places()}, snapshot=False, wait=True)
        self.conn.send(self._tick())
        self.conn.send(Report(job.source_id, frames=self.pipeline.frames_seen, packets=self.pipeline.packets))

    def _listen(self) -> None:
        """Take what the parent said; wait for it where there is nothing to read."""
        while self.conn.poll(0 if self.blocks is not None else _WAIT):
            self._hear(self.conn.recv())

    def _hear(self, message: object) -> None:
        if message == "stored":
            self.in_flight -= 1
        elif message == "stop":
            self.stopping = True
        elif message == "finish":
            self.finishing = True
        elif isinstance(message, Stream):
            self._begin_stream(reduction.recv_handle(self.conn), message.pid)

    def _begin_stream(self, fd: int, pid: int | None) -> None:
        from workbench.sources.live_blocks import LiveBlocks

        os.set_inheritable(fd, False)
        self._watch_program(pid)
        self.blocks = LiveBlocks(_Late(f"/dev/fd/{fd}", fd))
        self.pipeline.start_file(0)

    def _watch_program(self, pid: int | None) -> None:
        """Hold on to the program that writes the stream: by a descriptor, since a number may be another's one day."""
        if self.program is not None:
            os.close(self.program)
        self.program = None
        if pid is not None:
            with contextlib.suppress(OSError):  # it ended already
                self.program = os.pidfd_open(pid)

    def orphaned(self) -> None:
        """The parent was killed: nobody else ends its program, which on a silent interface would go on for good."""
        if self.program is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.program, signal.SIGTERM)

    def _read(self) -> None:
        """Take what has arrived; a stream that ended, or that is to be stopped and is silent, is put away."""
        blocks = self.blocks
        if blocks is None:
            return
        try:
            block = blocks.take(_WAIT, _HEADER if self.pipeline.framer is None else 1)
            if block is not None:
                before = self.pipeline.packets
                self.bytes += block.end - block.start
                self.pipeline.feed(block)
                if self.pipeline.packets > before:
                    self.heard = time.monotonic()
            elif blocks.over or self.stopping:
                self._end_stream(None)
        except WorkbenchError as error:
            self._end_stream(error)

    def _end_stream(self, error: WorkbenchError | None) -> None:
        if self.blocks is None:
            return
        self.blocks.close()
        self.blocks = None
        try:
            self.pipeline.end_file()
        except WorkbenchError as empty:
            error = error or empty
        framer = self.pipeline.framer
        dropped = None if framer is None else framer.dropped
        if framer is not None:
            self.said.lines.extend(framer.ledger())
            self.said.links.extend(i.link_type for i in framer.interfaces if i.link_type not in self.said.links)
            self.said.snaplens.extend(i.snaplen for i in framer.interfaces)
            if dropped is not None:
                self.said.dropped = (self.said.dropped or 0) + dropped
        self.pipeline.framer = None
        self.evidence.end()
        self.conn.send(StreamEnded(error, dropped))

    def _second(self) -> None:
        """Let time pass, ship what is complete, show what is open, tell how it goes."""
        table = self.pipeline.table
        now = self._now()
        if now is not None:
            table.tick(now)
        if self.in_flight < IN_FLIGHT or table.pending() > _MOST_WAITING:
            self._send({**table.drain(), **self.pipeline.places()}, snapshot=False, wait=True)
            state = (self.pipeline.packets, table.open_flows)
            if state != self.shown:
                self.shown = state
                self._send({"flows": table.open_rows()}, snapshot=True, wait=True)
        self.conn.send(self._tick())

    def _now(self) -> int | None:
        """The time by the packets' clock."""
        last = self.pipeline.table.ts_previous
        return None if last is None else last + round((time.monotonic() - self.heard) * 1e9)

    def _send(self, batches: dict[str, pa.RecordBatch], *, snapshot: bool, wait: bool) -> None:
        from workbench.workflows import shipping

        if not snapshot and not any(batch.num_rows for batch in batches.values()):
            return
        while wait and self.in_flight >= IN_FLIGHT:
            self._hear(self.conn.recv())
        self.in_flight += 1
        table = self.pipeline.table
        shipping.send(self.conn, batches, shipping.Shipment({}, snapshot, table.packets, table.flows))

    def _tick(self) -> LiveTick:
        pipeline, table, framer = self.pipeline, self.pipeline.table, self.pipeline.framer
        lines = [*pipeline.ledger(), *self.said.lines, *self.evidence.ledger()]
        links, snaplens, dropped = list(self.said.links), list(self.said.snaplens), self.said.dropped
        if framer is not None:
            lines.extend(framer.ledger())
            links += [i.link_type for i in framer.interfaces if i.link_type not in links]
            snaplens += [i.snaplen for i in framer.interfaces]
            if framer.dropped is not None:
                dropped = (dropped or 0) + framer.dropped
        return LiveTick(
            pipeline.frames_seen,
            pipeline.packets,
            self.bytes,
            table.flows,
            table.open_flows,
            table.ts_first,
            table.ts_last,
            self._now(),
            self.blocks.behind if self.blocks is not None else 0,
            tuple(dict.fromkeys(links)),
            tuple(dict.fromkeys(snaplens)),
            dropped,
            tuple(lines),
        )
