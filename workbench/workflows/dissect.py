"""A flow's packets as tshark understands them: a page of lines, one packet's tree, its bytes; payload masked.

Packets are read again from their captures, put into a small pcapng in memory with a few before them, so that streams
and dialogues are followed, and handed to the child process that tshark lives in. Showing what is masked is an entry in
the case's audit log first; where that cannot be written, nothing is shown.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from workbench import __version__
from workbench.audit.log import AuditLog
from workbench.dissect.dissector import Dissector
from workbench.dissect.lines import Line, Node
from workbench.errors import UsageError
from workbench.export.pcapng import PcapngWriter
from workbench.workflows.carve import CarveRequest, searches
from workbench.workflows.frames import Cancel, Frame, Side, frame_at, read_frames
from workbench.workflows.kernels import cache_folder

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

__all__ = ["Dissector", "Frame", "Line", "Node", "listed", "masked_hex", "packet_hex", "packet_lines", "packet_tree"]

#: Packets of a flow that are dissected along: its first ones (handshakes), and those just before what is asked for.
_FIRST: Final = 40
_BEFORE: Final = 160
#: How far into a flow the packets just before one are looked for; behind that only the first ones go along.
_FAR: Final = 20_000
#: The most bytes of packets handed over at once, and the most packets.
_BYTES: Final = 16 << 20
_PAGE: Final = 2_000
#: Longest reason kept in the log, characters.
_REASON: Final = 1_000

#: Fields whose value is the number of a packet: of the small pcapng, so they are put right.
_NUMBERS: Final = re.compile(r"frame\.number|.*(?:_in|_to|_frame|\.fragment|\.segment|fin_retransmission)")


def new_dissector(*, unmask: bool = False, timeout: float = 20.0) -> Dissector:
    """A dissector that keeps tshark's catalogue in the user's cache. ExternalError where tshark is not installed."""
    return Dissector(unmask=unmask, timeout=timeout, cache=cache_folder() / "dissect")


def packet_lines(
    reader: CaseReader,
    flow_id: int,
    start: int = 0,
    limit: int = 200,
    *,
    side: Side = "both",
    dissector: Dissector | None = None,
    cancel: Cancel | None = None,
) -> list[Line]:
    """A page of a flow's packets; `number` is the packet's in its source, as `Frame.number`.

    dissector: one that is kept for many pages (its `cancel` ends this from any thread); else one is started and ended.
    Raises what reading the packets and `Dissector.list` raise.
    """
    ahead = min(start, _BEFORE)
    first = list(read_frames(reader, flow_id, side=side, limit=_FIRST, cancel=cancel)) if start - ahead >= _FIRST else []
    frames = list(read_frames(reader, flow_id, side=side, start=start - ahead, limit=ahead + limit, cancel=cancel))
    wanted = frames[ahead:]
    if not wanted:
        return []
    out: list[Line] = []
    with _Held(dissector) as held:
        before = [*first, *frames[:ahead]]
        for page in _pages(wanted):
            out += _lines(held, before, page)
            before = [*first, *page[-_BEFORE:]]
    return out


def listed(
    reader: CaseReader, request: CarveRequest, *, dissector: Dissector, cancel: Cancel | None = None
) -> Iterator[list[tuple[Frame, Line]]]:
    """The packets that `carve` would write, in the same order, dissected in batches. Raises as `packet_lines` does."""
    before: list[Frame] = []
    for page in _pages(_asked_for(reader, request, cancel)):
        yield list(zip(page, _lines(dissector, before, page), strict=False))
        before = page[-_BEFORE:]


def packet_tree(
    reader: CaseReader,
    frame: Frame,
    unmask_reason: str | None = None,
    *,
    dissector: Dissector | None = None,
    cancel: Cancel | None = None,
) -> list[Node]:
    """The tree of one packet. With a reason nothing in it is masked, and the audit log says so first.

    dissector: one that is kept; for another kind of showing than it was made for, one of its own is started and ended.
    UsageError for a blank reason; ExternalError where the log cannot be written; what reading and `Dissector.tree` raise.
    """
    before = _before(reader, frame, cancel)
    capture, numbers = _pcapng([*before, frame])
    unmask = unmask_reason is not None
    with _Held(dissector if dissector is not None and dissector.unmask == unmask else None, unmask=unmask) as held:
        if unmask_reason is not None:
            what = {"flows": [frame.flow_id], "source": frame.source_id, "packet": frame.number}
            record_unmasking(reader, unmask_reason, held.version, **what)
        return _renumbered(held.tree(capture, len(numbers)), numbers)


def masked_hex(frame: Frame) -> list[tuple[int, bytes | None]]:
    """A packet's bytes in pieces by offset; None for the masked piece, which ends where the packet does."""
    pieces: list[tuple[int, bytes | None]] = [(0, frame.data[: frame.payload_at])] if frame.payload_at else []
    return [*pieces, (frame.payload_at, None)] if frame.payload_at < frame.captured else pieces


def packet_hex(reader: CaseReader, frame: Frame, unmask_reason: str | None = None) -> list[tuple[int, bytes | None]]:
    """As `masked_hex`; with a reason all of it, and the audit log says so first. Raises as `packet_tree` does for that."""
    if unmask_reason is None:
        return masked_hex(frame)
    record_unmasking(reader, unmask_reason, "", flows=[frame.flow_id], source=frame.source_id, packet=frame.number)
    return [(0, frame.data)] if frame.data else []


def record_unmasking(reader: CaseReader, reason: str, tshark: str, **what: Any) -> None:
    """Say in the case's audit log that masked content is about to be shown, of what, and why.

    UsageError for a blank reason; AuditError, DiskFullError, ExternalError where the log cannot be written: then nothing
    may be shown.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise UsageError(
            "unmasking needs a reason", "Say why: --unmask --reason 'ticket 4711: ...'; it is kept in the audit log."
        )
    reason = reason[:_REASON].encode("utf-8", "replace").decode()
    AuditLog(reader.case.root).append("packets_unmasked", reason=reason, tshark=tshark, **what)


# -- parts ------------------------------------------------------------------------------------------------


class _Held:
    """A dissector that was given, left open; or one of its own, ended behind."""

    def __init__(self, given: Dissector | None, *, unmask: bool = False) -> None:
        self._given, self._own = given, None if given is not None else new_dissector(unmask=unmask)

    def __enter__(self) -> Dissector:
        held = self._given or self._own
        assert held is not None
        return held

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.close()


def _asked_for(reader: CaseReader, request: CarveRequest, cancel: Cancel | None) -> Iterator[Frame]:
    left = request.limit
    found = searches(reader, request, cancel)
    try:
        for search in found:
            for hits in search.hits():
                assert search.matcher is not None
                flows = search.wanted.flow_ids[search.matcher.order[hits.found >> 1]]
                for k in range(len(hits.chosen) if left is None else min(left, len(hits.chosen))):
                    to_src = bool(hits.found[k] & 1)
                    yield frame_at(hits.chunk, int(hits.chosen[k]), search.capture, int(flows[k]), from_src=not to_src)
                left = None if left is None else max(0, left - len(hits.chosen))
                if left == 0:
                    return
    finally:
        for search in found:
            search.close()


def _pages(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    page: list[Frame] = []
    size = 0
    for frame in frames:
        if page and (len(page) >= _PAGE or size + frame.captured > _BYTES):
            yield page
            page, size = [], 0
        page.append(frame)
        size += frame.captured
    if page:
        yield page


def _lines(dissector: Dissector, before: Sequence[Frame], frames: Sequence[Frame]) -> list[Line]:
    """A line for each of `frames`, in their order."""
    before = _fitting(before)
    capture, numbers = _pcapng([*before, *frames])
    lines = dissector.list(capture, len(numbers))
    return [replace(line, number=numbers[line.number - 1]) for line in lines if len(before) < line.number <= len(numbers)]


def _before(reader: CaseReader, frame: Frame, cancel: Cancel | None) -> list[Frame]:
    """Packets of its flow ahead of it: the first ones and the last ones."""
    first: list[Frame] = []
    last: deque[Frame] = deque(maxlen=_BEFORE)
    for found in read_frames(reader, frame.flow_id, limit=_FAR, cancel=cancel):
        if found.offset >= frame.offset:
            return _fitting([*first, *last])
        if len(first) < _FIRST:
            first.append(found)
        else:
            last.append(found)
    return _fitting(first)


def _fitting(frames: Sequence[Frame]) -> list[Frame]:
    """As many of them, from the last back, as may go along."""
    out: list[Frame] = []
    size = 0
    for frame in reversed(frames):
        size += frame.captured
        if size > _BYTES:
            break
        out.append(frame)
    return out[::-1]


def _pcapng(frames: Sequence[Frame]) -> tuple[bytes, list[int]]:
    """The packets as a pcapng without names, and their numbers in the source."""
    out = io.BytesIO()
    writer = PcapngWriter(out, application=f"workbench {__version__}")
    interfaces: dict[int, int] = {}
    for frame in frames:
        if frame.link_type not in interfaces:
            interfaces[frame.link_type] = writer.interface(frame.link_type, tsresol=1_000_000_000)
        writer.packet(interfaces[frame.link_type], frame.ts_ns, frame.data, frame.wire)
    return out.getvalue(), [frame.number for frame in frames]


def _renumbered(nodes: Sequence[Node], numbers: Sequence[int]) -> list[Node]:
    """The nodes with numbers of packets as they are in the source."""
    out = []
    for node in nodes:
        value = node.value
        if value.isascii() and value.isdigit() and _NUMBERS.fullmatch(node.name) and 1 <= int(value) <= len(numbers):
            value = str(numbers[int(value) - 1])
        out.append(replace(node, value=value, children=tuple(_renumbered(node.children, numbers))))
    return out
