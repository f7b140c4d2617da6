"""The block-structured capture format (draft-ietf-opsawg-pcapng): sections of either byte order.

Blocks that hold packets are walked in a kernel. All others are rare and are handed to Python one at a
time; of secrets and of blocks we do not know nothing but the length is read, and that may exceed any buffer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, exported, fetch_ahead, i64, kernel, le32, u64
from workbench.decode.framing import LONGEST_BELIEVED, LONGEST_PACKET, Framer, Interface
from workbench.errors import BadInputError
from workbench.records.packet import FRAME
from workbench.records.reasons import LedgerLine
from workbench.records.visible import visible

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
PACKET: Final = 2  # obsolete
SIMPLE: Final = 3
NAMES: Final = 4
STATISTICS: Final = 5
ENHANCED: Final = 6
SECRETS: Final = 10
#: Known, and of no use here: process information, systemd journal, sysdig's event blocks are not packets.
_BYTE_ORDER: Final = 0x1A2B3C4D

#: A block of metadata longer than this is not read, only stepped over.
_LONGEST_READ: Final = 1 << 20
#: The longest block that is believed: a terabyte of secrets is a lie.
_LONGEST_BLOCK: Final = 1 << 30
_MOST_INTERFACES: Final = 1 << 16
_COMMENTS_TOLD: Final = 3
_COMMENT_LENGTH: Final = 200

# slots of the kernel's state
_AT: Final = 0
_WHY: Final = 1
_NEEDS: Final = 2
_TS: Final = 3  # time of the last packet: what a simple packet block, which has none, is given
_NOTES: Final = 4  # comments found; the first of each call are listed in `notes`
_SKIPPED: Final = 5  # packet blocks that contradict themselves
_SLOTS: Final = 6
_MORE: Final = 0
_RARE: Final = 1
_DAMAGED: Final = 2
_NOTE_ROWS: Final = 4

# columns of the interface table
_LINK: Final = 0
_SNAPLEN: Final = 1
_MULTIPLY: Final = 2  # ticks to nanoseconds; 0 where DIVIDE or SHIFT holds
_DIVIDE: Final = 3
_SHIFT: Final = 4  # ticks are 2**-SHIFT seconds; -1: decimal
_OFFSET: Final = 5  # nanoseconds to add
_LOST: Final = 6  # packets lost, summed from packet blocks; -1 where they say nothing
_COLUMNS: Final = 7

#: Times are kept within 1970 and 2116, so that differences of them cannot overflow.
_LATEST: Final = 1 << 62

_BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)
_FRAMES: Final = types.Array(from_dtype(FRAME), 1, "C")


def is_pcapng(head: bytes) -> bool:
    """Whether the bytes begin with a section header block."""
    return head[:4] == b"\n\r\r\n"


@dataclass(slots=True)
class _Counts:
    """Latest statistics of one interface."""

    if_drop: int | None = None
    os_drop: int | None = None


class PcapngFramer(Framer):
    """Reads pcapng. A block whose lengths disagree is damage: reading goes on at the next one that can be true."""

    kind = "pcapng"

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.needs = 12
        self._big = 0
        self._table = np.zeros((8, _COLUMNS), np.int64)
        self._first = 0  # number, within the source, of this section's first interface
        self._lost_before = 0  # by packet blocks of earlier sections
        self._says_lost = False
        self._statistics: dict[int, _Counts] = {}
        self._state = np.zeros(_SLOTS, np.int64)
        self._notes = np.zeros((_NOTE_ROWS, 3), np.int64)
        self._skip = 0  # bytes of a block still to be stepped over
        self._searching = False
        self._secrets = 0
        self._unknown: dict[int, int] = {}
        self._texts: list[str] = []
        self._section_seen = False
        _section_order(head[:28])

    @property
    def dropped(self) -> int | None:
        """Latest statistics per interface, summed; where there are none, what packet blocks say was lost."""
        said: list[int] = []
        for counts in self._statistics.values():
            said += [n for n in (counts.if_drop, counts.os_drop) if n is not None]
        if said:
            return sum(said)
        lost = self._table[: len(self.interfaces) - self._first, _LOST]
        if not self._says_lost and not (lost >= 0).any():
            return None
        return self._lost_before + int(lost[lost > 0].sum())

    def _frame(self, buf: NDArray[np.uint8], start: int, end: int, eof: bool, frames: NDArray[Any]) -> tuple[int, int]:
        state, done = self._state, 0
        at = start
        while done < len(frames):
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                if self._skip:
                    return done, self._ended(at, end, eof, done)
            if self._searching and (at := self._search(buf, at, end, eof)) < 0:
                return done, -at - 1
            if not self._section_seen:
                state[_AT], state[_WHY], state[_NEEDS] = at, _RARE if end - at >= 12 else _MORE, 12
                n = 0
            else:
                interfaces = len(self.interfaces) - self._first
                state[_NOTES] = state[_SKIPPED] = 0
                n = int(_packets(buf, at, end, frames, done, self._table, interfaces, self._first, self._big, state, self._notes))
                at = int(state[_AT])
                if state[_NOTES] or state[_SKIPPED]:
                    self._take_notes(buf)
            done += n
            self.needs = int(state[_NEEDS])
            if state[_WHY] == _MORE:
                return done, at if done == len(frames) else self._ended(at, end, eof, done)
            if state[_WHY] == _DAMAGED:
                at = self._damage(buf, at, done)
                continue
            moved = self._rare(buf, at, end, done)
            if moved == at:
                return done, self._ended(at, end, eof, done)
            at = moved
        return done, at

    def _ended(self, at: int, end: int, eof: bool, done: int) -> int:
        """Where reading stops for want of bytes: at the record, or behind everything at the end of the stream."""
        if not eof:
            return at
        if at < end or self._skip:
            self._count_cut(end - at, self.needs, self.frames + done + 1)
        self._skip = 0
        return end

    def _damage(self, buf: NDArray[np.uint8], at: int, done: int) -> int:
        kind, length = self._words(buf, at)
        self._count_damage(self.frames + done + 1, f"byte {self._base + at}: a block of type 0x{kind:x} claims {length} bytes")
        self._searching = True
        return at + 1

    def _search(self, buf: NDArray[np.uint8], at: int, end: int, eof: bool) -> int:
        """The next block that can be true; where there is none yet -1 - (the new start)."""
        at = int(_find_block(buf, at, end, eof, self._big, self._state))
        if self._state[_WHY] == _MORE:
            self.needs = int(self._state[_NEEDS])
            return -1 - (end if eof else at)
        self._searching = False
        return at

    def _words(self, buf: NDArray[np.uint8], at: int) -> tuple[int, int]:
        kind, length = struct.unpack(">II" if self._big else "<II", buf[at : at + 8].tobytes())
        return kind, length

    def _rare(self, buf: NDArray[np.uint8], at: int, end: int, done: int) -> int:
        """Take one block that holds no packet; `at` again where more of it is needed."""
        kind, length = self._words(buf, at)
        if kind == SECTION:
            self.needs = 28
            if end - at < 28:
                return at
            try:
                big = _section_order(buf[at : at + 28].tobytes())
            except BadInputError:  # the first one was good, or nothing would be read here
                return self._damage(buf, at, done)
            length = int.from_bytes(buf[at + 4 : at + 8].tobytes(), "big" if big else "little")
        elif not self._section_seen:
            return self._damage(buf, at, done)
        if length < 12 or length > _LONGEST_BLOCK or length % 4:
            return self._damage(buf, at, done)
        if kind in (SECTION, INTERFACE, STATISTICS) and length <= _LONGEST_READ:
            self.needs = length
            if end - at < length:
                return at
            body = buf[at + 8 : at + length - 4].tobytes()
            if kind == SECTION:
                self._section(body)
            elif kind == INTERFACE:
                self._interface(body, at, done)
            else:
                self._statistic(body)
        else:
            self._skip = length
            if kind == SECRETS:
                self._secrets += 1
            elif kind != NAMES:
                self._unknown[kind] = self._unknown.get(kind, 0) + 1
            return at + self._step(end - at)
        return at + length

    def _step(self, room: int) -> int:
        step = min(self._skip, room)
        self._skip -= step
        return step

    def _section(self, body: bytes) -> None:
        self._big = 1 if body[:4] == b"\x1a\x2b\x3c\x4d" else 0
        lost = self._table[: len(self.interfaces) - self._first, _LOST]
        self._says_lost |= bool((lost >= 0).any())
        self._lost_before += int(lost[lost > 0].sum())
        self._first = len(self.interfaces)
        self._section_seen = True
        self._options(body, 16)

    def _options(self, body: bytes, at: int) -> dict[int, bytes]:
        """Options by code, the last of each; comments are kept on the way."""
        found: dict[int, bytes] = {}
        order = ">HH" if self._big else "<HH"
        while at + 4 <= len(body):
            code, length = struct.unpack_from(order, body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0 or len(value) < length:
                break
            if code == 1:
                self._comment(value)
            found[code] = value
            at += 4 + (length + 3) // 4 * 4
        return found

    def _comment(self, value: bytes) -> None:
        self.comments += 1
        if len(self._texts) < _COMMENTS_TOLD:
            text = value.decode("utf-8", "replace")
            self._texts.append(visible(text[:_COMMENT_LENGTH]) + ("…" if len(text) > _COMMENT_LENGTH else ""))

    def _interface(self, body: bytes, at: int, done: int) -> None:
        order = "big" if self._big else "little"
        n = len(self.interfaces) - self._first
        if len(body) < 8 or len(self.interfaces) >= _MOST_INTERFACES:
            self._count_damage(self.frames + done + 1, f"byte {self._base + at}: an interface block that cannot be used")
            return
        link, snaplen = int.from_bytes(body[:2], order), int.from_bytes(body[4:8], order)  # type: ignore[arg-type]
        options = self._options(body, 8)
        resolution = options.get(9, b"\x06")[:1] or b"\x06"
        binary, exponent = resolution[0] & 0x80, resolution[0] & 0x7F
        offset = int.from_bytes(options.get(14, b"")[:8], order, signed=True)  # type: ignore[arg-type]
        if n == len(self._table):
            self._table = np.concatenate((self._table, np.zeros_like(self._table)))
        row = self._table[n]
        row[:] = (link, snaplen, 0, 0, -1, max(-_LATEST // 2, min(_LATEST // 2, offset * 1_000_000_000)), -1)
        if binary:
            row[_SHIFT] = exponent
        elif exponent <= 9:
            row[_MULTIPLY] = 10 ** (9 - exponent)
        elif exponent <= 27:
            row[_DIVIDE] = 10 ** (exponent - 9)
        names = [options.get(code, b"").decode("utf-8", "replace") for code in (2, 3)]
        self.interfaces.append(Interface(link, snaplen, names[0], names[1], (2 if binary else 10) ** exponent, offset))

    def _statistic(self, body: bytes) -> None:
        order = "big" if self._big else "little"
        interface = self._first + int.from_bytes(body[:4], order)  # type: ignore[arg-type]
        options = self._options(body, 12)
        if interface >= len(self.interfaces):
            return
        counts = self._statistics.setdefault(interface, _Counts())
        for code in (5, 7):
            if len(options.get(code, b"")) == 8:
                count = int.from_bytes(options[code], order)  # type: ignore[arg-type]
                if code == 5:
                    counts.if_drop = count
                else:
                    counts.os_drop = count

    def _take_notes(self, buf: NDArray[np.uint8]) -> None:
        """Comments and contradictions that the kernel met in packet blocks."""
        met = int(self._state[_NOTES])
        for at, length, _ in self._notes[: min(met, _NOTE_ROWS)]:
            self._comment(buf[at : at + length].tobytes())
        self.comments += max(0, met - _NOTE_ROWS)
        for _ in range(int(self._state[_SKIPPED])):
            self._count_damage(self.frames + 1, "a packet block whose lengths or interface cannot be true")

    def ledger(self) -> list[LedgerLine]:
        """As every framer's, and secrets, unknown blocks and comments."""
        lines = super().ledger()
        if self._secrets:
            lines.append(LedgerLine("secrets_skipped", self._secrets))
        if self._unknown:
            most = sorted(self._unknown.items(), key=lambda item: -item[1])[:5]
            lines.append(
                LedgerLine("blocks_skipped", sum(self._unknown.values()), (), ", ".join(f"0x{k:x} {n}" for k, n in most))
            )
        if self.comments:
            lines.append(LedgerLine("comments", self.comments, (), " | ".join(self._texts)))
        return lines


def _section_order(head: bytes) -> int:
    """1 for big-endian; BadInputError where the section header is cut, or of no version that exists."""
    remedy = "The file is damaged, or something else with pcapng's first bytes."
    if len(head) < 28:
        raise BadInputError(f"the pcapng section header is cut: {len(head)} of 28 bytes", remedy)
    for big, order in ((1, "big"), (0, "little")):
        if int.from_bytes(head[8:12], order) == _BYTE_ORDER:  # type: ignore[arg-type]
            major, minor = (int.from_bytes(head[i : i + 2], order) for i in (12, 14))  # type: ignore[arg-type]
            if (major, minor) not in ((1, 0), (1, 2)):  # 1.2 was written by mistake and reads the same
                raise BadInputError(f"pcapng version {major}.{minor} does not exist; 1.0 is the only one", remedy)
            return big
    raise BadInputError(f"the pcapng byte-order magic is {head[8:12].hex()}, not 1a2b3c4d either way", remedy)


@kernel
def _word(buf: NDArray[np.uint8], o: int, big: int) -> int:
    return be32(buf, o) if big else le32(buf, o)


@kernel
def _half(buf: NDArray[np.uint8], o: int, big: int) -> int:
    value = be16(buf, o)
    return value if big else ((value & 0xFF) << 8) | (value >> 8)


@kernel
def _nanoseconds(high: int, low: int, row: Numbers) -> int:
    """Ticks since 1970 in the interface's unit to nanoseconds, kept within 0 and _LATEST."""
    ticks = (u64(high) << u64(32)) | u64(low)
    latest = u64(_LATEST)
    billion = u64(1_000_000_000)
    shift = row[_SHIFT]
    if row[_MULTIPLY]:
        factor = u64(row[_MULTIPLY])
        ns = latest if ticks > latest // factor else ticks * factor
    elif row[_DIVIDE]:
        ns = ticks // u64(row[_DIVIDE])
    elif shift < 0 or shift > 93:  # finer than any count of 64 bits can tell
        ns = u64(0)
    else:
        seconds = ticks >> u64(shift) if shift < 64 else u64(0)
        rest = ticks & ((u64(1) << u64(shift)) - u64(1)) if shift < 64 else ticks
        if shift > 30:  # drop what is finer than a nanosecond, so that the product fits
            rest = rest >> u64(shift - 30)
            shift = i64(30)
        ns = (rest * billion) >> u64(shift)
        ns = latest if seconds > latest // billion - u64(1) else ns + seconds * billion
    return max(i64(0), min(i64(min(ns, latest)) + i64(row[_OFFSET]), i64(_LATEST)))


@kernel
def _options(
    buf: NDArray[np.uint8],
    at: int,
    stop: int,
    big: int,
    row: Numbers,
    state: Numbers,
    notes: Numbers,
) -> None:
    """Comments and the lost-packets count among a packet block's options."""
    while at + 4 <= stop:
        code, length = _half(buf, at, big), _half(buf, at + 2, big)
        if code == 0 or at + 4 + length > stop:
            return
        if code == 1:
            if state[_NOTES] < _NOTE_ROWS:
                notes[state[_NOTES], 0] = at + 4
                notes[state[_NOTES], 1] = length
            state[_NOTES] += 1
        elif code == 4 and length == 8:
            high = _word(buf, at + 4 if big else at + 8, big)
            low = _word(buf, at + 8 if big else at + 4, big)
            if high == 0:
                row[_LOST] = max(i64(0), row[_LOST]) + low
        at += 4 + ((length + 3) & ~3)


@kernel
def _packet(
    buf: NDArray[np.uint8],
    at: int,
    length: int,
    kind: int,
    f: Any,
    table: Numbers,
    interfaces: int,
    base: int,
    big: int,
    state: Numbers,
    notes: Numbers,
) -> bool:
    """One whole packet block into one row; False where it contradicts itself."""
    interface = i64(0)
    if kind == SIMPLE:
        wire = _word(buf, at + 8, big)
        data = at + 12
        cap = min(wire, length - 16)
        if interfaces and table[0, _SNAPLEN]:
            cap = min(cap, table[0, _SNAPLEN])
    else:
        if length < 32:
            return False
        interface = _word(buf, at + 8, big)
        if kind == PACKET:
            interface = _half(buf, at + 8, big)
        cap, wire = _word(buf, at + 20, big), _word(buf, at + 24, big)
        data = at + 28
        if cap > length - 32:
            return False
    if interface >= interfaces:
        return False
    row = table[interface]
    if kind != SIMPLE:
        state[_TS] = _nanoseconds(_word(buf, at + 12, big), _word(buf, at + 16, big), row)
        if kind == PACKET:
            lost = _half(buf, at + 10, big)
            if lost != 0xFFFF:
                row[_LOST] = max(i64(0), row[_LOST]) + lost
        behind = data + ((cap + 3) & ~3)
        if at + length - behind >= 8:
            _options(buf, behind, at + length - 4, big, row, state, notes)
    f.ts = state[_TS]
    f.rec = at
    f.off = data
    f.cap = cap
    f.wire = wire
    f.link = row[_LINK]
    f.iface = base + interface
    return True


@exported(
    types.int64(
        _BUFFER,
        types.int64,
        types.int64,
        _FRAMES,
        types.int64,
        types.int64[:, ::1],
        types.int64,
        types.int64,
        types.int64,
        types.int64[::1],
        types.int64[:, ::1],
    )
)
def _packets(
    buf: NDArray[np.uint8],
    start: int,
    end: int,
    frames: NDArray[Any],
    first: int,
    table: Numbers,
    interfaces: int,
    base: int,
    big: int,
    state: Numbers,
    notes: Numbers,
) -> int:
    """Walk packet blocks from `start` into frames[first:]; rows written. state says where and why it stopped."""
    end = min(end, i64(len(buf)))
    interfaces = min(interfaces, i64(len(table)))
    n = i64(0)
    at = i64(start)
    fetched = at
    state[_WHY] = _MORE
    state[_NEEDS] = 12
    while first + n < len(frames) and end - at >= 12:
        kind, length = _word(buf, at, big), _word(buf, at + 4, big)
        if kind != ENHANCED and kind != SIMPLE and kind != PACKET:
            state[_WHY] = _RARE
            break
        if length < 16 or length & 3 or length > LONGEST_BELIEVED:
            state[_WHY] = _DAMAGED
            break
        if end - at < length:
            state[_NEEDS] = length
            break
        fetched = fetch_ahead(buf, max(fetched, at), at + length)
        if _word(buf, at + length - 4, big) != length:
            state[_WHY] = _DAMAGED
            break
        if _packet(buf, at, length, kind, frames[first + n], table, interfaces, base, big, state, notes):
            n += 1
        else:
            state[_SKIPPED] += 1
        at += length
    state[_AT] = at
    return n


@exported(types.int64(_BUFFER, types.int64, types.int64, types.boolean, types.int64, types.int64[::1]))
def _find_block(buf: NDArray[np.uint8], start: int, end: int, eof: bool, big: int, state: Numbers) -> int:
    """The next place where a known block's two lengths agree; state: _MORE where there is none yet."""
    end = min(end, i64(len(buf)))
    state[_WHY] = _MORE
    state[_NEEDS] = 12
    at = i64(start)
    while end - at >= 12:
        kind, length = _word(buf, at, big), _word(buf, at + 4, big)
        if kind <= ENHANCED and kind > 0 and length >= 16 and not length & 3 and length <= LONGEST_PACKET + 4096:
            if end - at < length:
                if not eof:
                    state[_NEEDS] = length
                    return at
            elif _word(buf, at + length - 4, big) == length:
                state[_WHY] = _RARE
                return at
        elif kind == SECTION and length >= 28:
            state[_WHY] = _RARE
            return at
        at += 1
    return at
