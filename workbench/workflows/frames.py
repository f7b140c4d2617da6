"""Packets found again: those of some flows of a source, and one flow's as plain values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.flows.match import FlowMatcher
from workbench.records.visible import visible
from workbench.workflows.captured import Capture, find_capture
from workbench.workflows.ranges import CHUNK, Chunk, RangeReader, spans_of
from workbench.workflows.wanted import Wanted, wanted_flow

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

Side = Literal["both", "src", "dst"]
Cancel = Callable[[], bool]

_SIDES: Final = {"src": 1, "dst": 2, "both": 3}


@dataclass(slots=True)
class Hits:
    """Wanted packets of one chunk: their places in it, and for each 2 * row of the matcher + side (1: the responder sent it)."""

    chunk: Chunk
    chosen: NDArray[np.int64]
    found: NDArray[np.int64]


class Search:
    """The packets of some flows of one source. Close it."""

    def __init__(self, wanted: Wanted, capture: Capture, side: Side, cancel: Cancel | None = None) -> None:
        self.wanted = wanted
        self.capture = capture
        self.ranges = RangeReader(capture, cancel)
        self.spans = spans_of(capture, wanted.blocks, wanted.first, wanted.last)
        self._side = side
        self.matcher: FlowMatcher | None = None

    @property
    def size(self) -> int:
        """Bytes of the source that are to be read, about."""
        return sum(span.last + 1 - max(span.first, span.place.record_offset) for span in self.spans)

    def hits(self) -> Iterator[Hits]:
        """Chunk by chunk, in the order of the capture, also those that hold nothing. Good until the next is asked for."""
        matcher = self.matcher = FlowMatcher(self.wanted.ends, self.capture.key_scope, _SIDES[self._side])
        chosen, found = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
        for chunk in self.ranges.chunks(self.spans):
            m = matcher.match(chunk.packets, chunk.n, chunk.base, chosen, found)
            yield Hits(chunk, chosen[:m], found[:m])

    def close(self) -> None:
        """Give the file back."""
        self.ranges.close()

    def differences(self) -> str:
        """Whether every flow had as many packets as the index counted, once all were read: '' or what was found instead."""
        assert self.matcher is not None
        rows, wanted, order = self.matcher.rows, self.wanted, self.matcher.order
        src, dst = wanted.src_pkts[order], wanted.dst_pkts[order]
        other = np.flatnonzero((rows["src_seen"] != src) | (rows["dst_seen"] != dst))
        if not len(other):
            return ""
        i = int(other[0])
        have, want = int(rows["src_seen"][i] + rows["dst_seen"][i]), int(src[i] + dst[i])
        return (
            f"{len(other):,} of {len(rows):,} flows have other numbers of packets than the index counted"
            f" (flow {int(wanted.flow_ids[order[i]])}: {have:,} found, {want:,} counted)"
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet behind a row.

    number: in its source, from 1. offset: of its record in the joined, decompressed source. interface: its name, or the file's.
    from_src: sent by the flow's originator. payload_at: where application payload begins in `data` (`captured` where none was
    captured); what is behind it, padding and trailers too, counts as payload.
    """

    number: int
    source_id: int
    flow_id: int
    ts_ns: int
    offset: int
    captured: int
    wire: int
    link_type: int
    interface: str
    from_src: bool
    payload_at: int
    data: bytes
    comments: tuple[str, ...] = ()


def read_frames(
    reader: CaseReader,
    flow_id: int,
    *,
    side: Side = "both",
    start: int = 0,
    limit: int | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Frame]:
    """The packets of one flow, in the order of the capture, as they are found; `start`: how many to leave out first.

    UsageError for a flow that the case does not have; CaptureGoneError, CaptureChangedError; CancelledError.
    """
    wanted = wanted_flow(reader, flow_id)
    capture = find_capture(reader, wanted.source_id, wanted.first, wanted.last)
    search = Search(wanted, capture, side, cancel)
    end = None if limit is None else start + limit
    seen = 0
    try:
        for hits in search.hits():
            before, seen = seen, seen + len(hits.chosen)
            for k in range(max(0, start - before), len(hits.chosen) if end is None else min(len(hits.chosen), end - before)):
                yield frame_at(hits.chunk, int(hits.chosen[k]), capture, flow_id, from_src=not hits.found[k] & 1)
            if end is not None and seen >= end:
                return
    finally:
        search.close()


def frame_at(chunk: Chunk, i: int, capture: Capture, flow_id: int, *, from_src: bool) -> Frame:
    """The packet at that place of a chunk, as plain values."""
    frame, packet = chunk.frames[i], chunk.packets[i]
    at, captured = int(frame["off"]), int(frame["cap"])
    interface = chunk.framer.interfaces[int(frame["iface"])]
    data = chunk.buf[at : at + captured].tobytes()
    return Frame(
        number=chunk.number + i,
        source_id=capture.source_id,
        flow_id=flow_id,
        ts_ns=int(frame["ts"]),
        offset=chunk.base + int(frame["rec"]),
        captured=captured,
        wire=int(frame["wire"]),
        link_type=int(frame["link"]),
        interface=visible(interface.name) or file_name(capture, chunk.file),
        from_src=from_src,
        payload_at=_payload_at(packet, at, captured, data),
        data=data,
        comments=_comments(chunk, i),
    )


def _payload_at(packet: Any, at: int, captured: int, data: bytes) -> int:
    """Where the payload begins. A TCP header that contradicts itself counts as one of 20 bytes, and the rest as payload."""
    begins = int(packet["pay"]) - at
    if packet["proto"] == 6 and packet["flags"] == 0 and packet["payload"] == 0 and packet["frag_key"] == 0:
        ip = begins - int(packet["ip_bytes"])
        if 0 <= ip < captured:
            begins = min(begins, ip + (4 * (data[ip] & 15) if packet["version"] == 4 else 40) + 20)
    return max(0, min(begins, captured))


def _comments(chunk: Chunk, i: int) -> tuple[str, ...]:
    """Comments among the options of a packet's block, as they stand there."""
    if chunk.framer.kind != "pcapng":
        return ()
    frame = chunk.frames[i]
    rec, behind = int(frame["rec"]), int(frame["off"]) + (int(frame["cap"]) + 3 & ~3)
    head = chunk.buf[rec : rec + 8].tobytes()
    order: Literal["little", "big"] = "little" if head[1:4] == b"\0\0\0" else "big"
    kind, end = int.from_bytes(head[:4], order), rec + int.from_bytes(head[4:], order) - 4
    body = chunk.buf[behind:end].tobytes() if kind in (2, 6) else b""
    comments, at = [], 0
    while at + 4 <= len(body):
        code, length = (int.from_bytes(body[at + n : at + n + 2], order) for n in (0, 2))
        if code == 0 or at + 4 + length > len(body):
            break
        if code == 1:
            comments.append(body[at + 4 : at + 4 + length].decode("utf-8", "replace"))
        at += 4 + (length + 3 & ~3)
    return tuple(comments)


def file_name(capture: Capture, file: int) -> str:
    """The name of a source's file, as text that can be shown."""
    return visible(os.fsencode(Path(capture.files[file].path).name).decode("utf-8", "replace"))
