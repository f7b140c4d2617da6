"""The classic capture format: a 24-byte header, then records (draft-ietf-opsawg-pcap).

Microseconds or nanoseconds, either byte order, and the longer records of the "modified" format that
old Linux distributions wrote (magic 0xa1b2cd34).
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be32, exported, fetch_ahead, i64, kernel, le32
from workbench.decode.framing import LONGEST_BELIEVED, LONGEST_PACKET, Framer, Interface
from workbench.errors import BadInputError
from workbench.records.packet import FRAME

#: Magic numbers by their value in the writer's byte order: nanoseconds a unit, bytes of a record header.
_MAGIC: Final[dict[int, tuple[int, int]]] = {
    0xA1B2C3D4: (1000, 16),
    0xA1B23C4D: (1, 16),
    0xA1B2CD34: (1000, 24),
}

# slots of the kernel's state
_AT: Final = 0  # where it stopped
_WHY: Final = 1  # _MORE or _DAMAGED
_NEEDS: Final = 2
_LAST: Final = 3  # seconds of the last good record, -1 before the first
_SLOTS: Final = 4
_MORE: Final = 0
_DAMAGED: Final = 1

# slots of the kernel's parameters
_BIG: Final = 0
_UNIT: Final = 1
_HEADER: Final = 2
_LINK: Final = 3
_LIMIT: Final = 4
_ORDER: Final = 5  # 0: captured length first; 1: swapped (before 2.3); 2: whichever is smaller (2.3)

_BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)
_FRAMES: Final = types.Array(from_dtype(FRAME), 1, "C")
_NUMBERS: Final = types.int64[::1]

#: How far apart in time neighbouring records may be for a resync to believe in them, in seconds.
_NEAR: Final = 86_400 * 2


def is_pcap(head: bytes) -> bool:
    """Whether the bytes begin like a pcap file."""
    if len(head) < 4:
        return False
    return int.from_bytes(head[:4], "big") in _MAGIC or int.from_bytes(head[:4], "little") in _MAGIC


class PcapFramer(Framer):
    """Reads pcap records. Where a record's length cannot be true it looks for the next two that fit."""

    kind = "pcap"

    def __init__(self, head: bytes) -> None:
        super().__init__()
        if len(head) < 24:
            raise BadInputError(
                f"the pcap header is cut: {len(head)} of 24 bytes", "The file was copied or captured incompletely."
            )
        big = int.from_bytes(head[:4], "big") in _MAGIC
        magic, major, minor, _, _, snaplen, network = struct.unpack(">IHHIIII" if big else "<IHHIIII", head[:24])
        order = _length_order(major, minor)
        self.big_endian = big
        unit, size = _MAGIC[magic]
        # the upper bits say whether and how long a frame check sequence is: the IP length leaves it out anyway
        link = network & 0xFFFF
        limit = LONGEST_PACKET if snaplen <= LONGEST_PACKET else min(snaplen, LONGEST_BELIEVED)
        self.interfaces = [Interface(link, snaplen, tsresol=1_000_000_000 // unit)]
        self.needs = 24
        self._skip_header = True
        self._parameters = np.array([big, unit, size, link, limit, order], np.int64)
        self._state = np.zeros(_SLOTS, np.int64)
        self._state[_LAST] = -1
        self._lost = 0  # bytes stepped over since the damage; 0 where all is well

    def enter(self, frame: int, ts_ns: int) -> None:
        """As every framer's; the file's header is not expected any more."""
        super().enter(frame, ts_ns)
        self._skip_header = False
        self._state[_LAST] = ts_ns // 1_000_000_000

    def _frame(self, buf: NDArray[np.uint8], start: int, end: int, eof: bool, frames: NDArray[Any]) -> tuple[int, int]:
        if self._skip_header:
            if end - start < 24:
                return (0, start) if not eof else self._at_end(start, end)
            self._skip_header = False
            start += 24
        if self._lost:
            found = self._resync(buf, start, end, eof)
            if self._lost:
                return 0, found
            start = found
        state = self._state
        n = int(_records(buf, start, end, frames, self._parameters, state))
        at = int(state[_AT])
        self.needs = int(state[_NEEDS])
        if state[_WHY] == _DAMAGED:
            self._note_damage(buf, at, n)
            self._lost = 1
            return n, at + 1
        if eof and n < len(frames) and at < end:
            return n, self._at_end(at, end, n)[1]
        return n, at

    def _at_end(self, at: int, end: int, n: int = 0) -> tuple[int, int]:
        if at < end:
            self._count_cut(end - at, self.needs, self.frames + n + 1)
        return 0, end

    def _note_damage(self, buf: NDArray[np.uint8], at: int, n: int) -> None:
        caplen = int.from_bytes(buf[at + 8 : at + 12].tobytes(), "big" if self._parameters[_BIG] else "little")
        self._count_damage(self.frames + n + 1, f"byte {self._base + at}: a record claims {caplen} captured bytes")

    def _resync(self, buf: NDArray[np.uint8], start: int, end: int, eof: bool) -> int:
        """Look for two records in a row that can be true; where the first of them starts, or the new start."""
        at = int(_search(buf, start, end, eof, self._parameters, self._state))
        if self._state[_WHY] == _MORE:
            self._lost += at - start
            return at if not eof else end
        self._lost = 0
        return at


def _length_order(major: int, minor: int) -> int:
    """How a version orders its two lengths; BadInputError for one that no writer has used."""
    if major == 2 and 0 <= minor <= 4:
        return 1 if minor < 3 else 2 if minor == 3 else 0
    if (major, minor) == (543, 0):  # a widespread tool's own number, with the lengths swapped
        return 1
    raise BadInputError(
        f"pcap version {major}.{minor} does not exist; 2.4 is the usual one",
        "The header is damaged, or the file is something else with pcap's first bytes.",
    )


@kernel
def _word(buf: NDArray[np.uint8], o: int, big: int) -> int:
    return be32(buf, o) if big else le32(buf, o)


@exported(types.int64(_BUFFER, types.int64, types.int64, _FRAMES, _NUMBERS, _NUMBERS))
def _records(buf: NDArray[np.uint8], start: int, end: int, frames: NDArray[Any], par: Numbers, state: Numbers) -> int:
    """Walk whole records from `start`; rows written. state says where and why it stopped."""
    big, unit, header, link, limit, order = par[_BIG], par[_UNIT], par[_HEADER], par[_LINK], par[_LIMIT], par[_ORDER]
    end = min(end, i64(len(buf)))
    n = i64(0)
    at = i64(start)
    fetched = at
    state[_WHY] = _MORE
    state[_NEEDS] = header
    while n < len(frames) and end - at >= header:
        cap, wire = _word(buf, at + 8, big), _word(buf, at + 12, big)
        if order == 1 or (order == 2 and cap > wire):
            cap, wire = wire, cap
        if cap > limit:
            state[_WHY] = _DAMAGED
            break
        if end - at < header + cap:
            state[_NEEDS] = header + cap
            break
        fetched = fetch_ahead(buf, max(fetched, at), at + header + cap)
        seconds = _word(buf, at, big)
        f = frames[n]
        f.ts = seconds * 1_000_000_000 + _word(buf, at + 4, big) * unit
        f.rec = at
        f.off = at + header
        f.cap = cap
        f.wire = wire
        f.link = link
        f.iface = 0
        state[_LAST] = seconds
        at += header + cap
        n += 1
    state[_AT] = at
    return n


@kernel
def _believable(buf: NDArray[np.uint8], at: int, par: Numbers, last: int) -> int:
    """The length of a record that may stand here, header included; 0 where none can.

    Near the last one in time, a fraction below a second, no empty packet, not longer than it was.
    """
    big = par[_BIG]
    cap, wire = _word(buf, at + 8, big), _word(buf, at + 12, big)
    if par[_ORDER] == 1:
        cap, wire = wire, cap
    if cap < 14 or cap > par[_LIMIT] or wire < cap or wire > LONGEST_BELIEVED:
        return 0
    if _word(buf, at + 4, big) * par[_UNIT] >= 1_000_000_000:
        return 0
    seconds = _word(buf, at, big)
    if last >= 0 and abs(seconds - last) > _NEAR:
        return 0
    return i64(par[_HEADER]) + cap


@exported(types.int64(_BUFFER, types.int64, types.int64, types.boolean, _NUMBERS, _NUMBERS))
def _search(buf: NDArray[np.uint8], start: int, end: int, eof: bool, par: Numbers, state: Numbers) -> int:
    """The first place from `start` on where two believable records follow each other, or one ends the file.

    state: _MORE where there is none yet; the answer is then where to look on with more bytes.
    """
    header, last = par[_HEADER], state[_LAST]
    end = min(end, i64(len(buf)))
    state[_WHY] = _MORE
    state[_NEEDS] = header
    at = i64(start)
    while end - at >= header:
        size = _believable(buf, at, par, last)
        if size:
            behind = at + size
            if end - behind >= header:
                if _believable(buf, behind, par, _word(buf, at, par[_BIG])):
                    state[_WHY] = _DAMAGED
                    return at
            elif eof:
                if behind == end:
                    state[_WHY] = _DAMAGED
                    return at
            else:
                state[_NEEDS] = size + header
                return at
        at += 1
    return at
