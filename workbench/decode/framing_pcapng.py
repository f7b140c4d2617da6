"""The block-structured capture format (draft-ietf-opsawg-pcapng): sections of either byte order.

Blocks that hold packets are walked in a kernel. All others are rare and are handed to Python one at a
time; of secrets and of blocks we do not know nothing but the length is read, and that may exceed any buffer.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.framing import Framer, Interface
from workbench.decode.pcapng_blocks import (
    AT,
    COLUMNS,
    DAMAGED,
    DIVIDE,
    INTERFACE,
    LATEST,
    LONGEST_READ,
    LOST,
    MORE,
    MOST,
    MULTIPLY,
    NAMES,
    NEEDS,
    NOTE_ROWS,
    NOTES,
    RARE,
    SECRETS,
    SECTION,
    SHIFT,
    SKIPPED,
    SLOTS,
    STATISTICS,
    TS,
    WHY,
    find_block,
    walk,
)
from workbench.errors import BadInputError
from workbench.records.reasons import LedgerLine
from workbench.records.visible import visible

_BYTE_ORDER: Final = 0x1A2B3C4D

#: The longest block that is believed of a type that is known, if not used: names, secrets, journals, custom blocks.
_LONGEST_BLOCK: Final = 64 << 20
_KNOWN: Final = frozenset((NAMES, 7, 8, 9, SECRETS, 0xBAD, 0x40000BAD))
#: Types of skipped blocks that are told apart, in the kernel and in all.
_KINDS: Final = 16
_MOST_KINDS: Final = 64
_MOST_INTERFACES: Final = 1 << 16
_COMMENTS_TOLD: Final = 3
_COMMENT_LENGTH: Final = 200


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
        self._table = np.zeros((8, COLUMNS), np.int64)
        self._first = 0  # number, within the source, of this section's first interface
        self._lost_before = 0  # by packet blocks of earlier sections
        self._says_lost = False
        self._statistics: dict[int, _Counts] = {}
        self._state = np.zeros(SLOTS, np.int64)
        self._notes = np.zeros((NOTE_ROWS, 3), np.int64)
        self._skip = 0  # bytes of a block still to be stepped over
        self._searching = False
        self._passed = np.zeros((_KINDS, 2), np.int64)  # (type, count) of blocks stepped over in the kernel
        self._unknown: dict[int, int] = {}  # those too long for the buffer, or of one type too many
        self._texts: list[str] = []
        self._section_seen = False
        self._sections: deque[tuple[int, int]] = deque()  # where they start, number of their first interface
        self._described: deque[int] = deque()  # where this and later sections' interfaces were described
        self._described_from = 0  # number of the first of those
        self.big_endian = bool(_section_order(head[:28]))

    @property
    def dropped(self) -> int | None:
        """Latest statistics per interface, summed; where there are none, what packet blocks say was lost."""
        said: list[int] = []
        for counts in self._statistics.values():
            said += [n for n in (counts.if_drop, counts.os_drop) if n is not None]
        if said:
            return sum(said)
        lost = self._table[: len(self.interfaces) - self._first, LOST]
        if not self._says_lost and not (lost >= 0).any():
            return None
        return self._lost_before + int(lost[lost > 0].sum())

    def section(self, record: int) -> tuple[int | None, int]:
        """As every framer's. What lies before the section of the last record asked for is forgotten."""
        sections = self._sections
        while len(sections) > 1 and sections[1][0] <= record:
            sections.popleft()
        if not sections:
            return None, 0
        start, first = sections[0]
        while self._described_from < first:
            self._described.popleft()
            self._described_from += 1
        return start, bisect_right(self._described, record)

    def enter(self, frame: int, ts_ns: int) -> None:
        """As every framer's; the section and its interfaces were read before. A packet without a time gets the last one's."""
        super().enter(frame, ts_ns)
        self._state[TS] = ts_ns
        self._searching = False
        self._skip = 0

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
                state[AT], state[WHY], state[NEEDS] = at, RARE if end - at >= 12 else MORE, 12
                n = 0
            else:
                interfaces = len(self.interfaces) - self._first
                state[NOTES] = state[SKIPPED] = 0
                n = int(
                    walk(
                        buf,
                        at,
                        end,
                        frames,
                        done,
                        self._table,
                        interfaces,
                        self._first,
                        self._big,
                        state,
                        self._notes,
                        self._passed,
                    )
                )
                at = int(state[AT])
                if state[NOTES] or state[SKIPPED]:
                    self._take_notes(buf)
            done += n
            self.needs = int(state[NEEDS])
            if state[WHY] == MORE:
                return done, at if done == len(frames) else self._ended(at, end, eof, done)
            if state[WHY] == DAMAGED:
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
        at = int(find_block(buf, at, end, eof, self._big, self._state))
        if self._state[WHY] == MORE:
            self.needs = int(self._state[NEEDS])
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
        if length < 12 or length > (_LONGEST_BLOCK if kind in _KNOWN else LONGEST_READ) or length % 4:
            return self._damage(buf, at, done)
        if length <= LONGEST_READ:
            self.needs = length
            if end - at < length:
                return at
            if buf[at + 4 : at + 8].tobytes() != buf[at + length - 4 : at + length].tobytes():
                return self._damage(buf, at, done)
        if kind in (SECTION, INTERFACE, STATISTICS) and length <= LONGEST_READ:
            body = buf[at + 8 : at + length - 4].tobytes()
            if kind == SECTION:
                self._section(body, at)
            elif kind == INTERFACE:
                self._interface(body, at, done)
            else:
                self._statistic(body)
        else:
            self._skip = length
            kind = kind if len(self._unknown) < _MOST_KINDS else -1
            self._unknown[kind] = self._unknown.get(kind, 0) + 1
            return at + self._step(end - at)
        return at + length

    def _step(self, room: int) -> int:
        step = min(self._skip, room)
        self._skip -= step
        return step

    def _section(self, body: bytes, at: int) -> None:
        self._big = 1 if body[:4] == b"\x1a\x2b\x3c\x4d" else 0
        lost = self._table[: len(self.interfaces) - self._first, LOST]
        self._says_lost |= bool((lost >= 0).any())
        self._lost_before += int(lost[lost > 0].sum())
        self._first = len(self.interfaces)
        self._section_seen = True
        if self._sections and self._sections[-1][1] == self._first:
            self._sections.pop()  # it described no interface, so no packet lies in it: a file may be made of nothing else
        self._sections.append((self._base + at, self._first))
        self._options(body, 16)

    def _options(self, body: bytes, at: int, comments: list[str] | None = None) -> dict[int, bytes]:
        """Options by code, the last of each; comments are counted on the way, and the first of them added to `comments`."""
        found: dict[int, bytes] = {}
        order = ">HH" if self._big else "<HH"
        while at + 4 <= len(body):
            code, length = struct.unpack_from(order, body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0 or len(value) < length:
                break
            if code == 1:
                self._comment(value)
                if comments is not None and len(comments) < _COMMENTS_TOLD:
                    comments.append(value.decode("utf-8", "replace"))
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
        comments: list[str] = []
        options = self._options(body, 8, comments)
        resolution = options.get(9, b"\x06")[:1] or b"\x06"
        binary, exponent = resolution[0] & 0x80, resolution[0] & 0x7F
        offset = int.from_bytes(options.get(14, b"")[:8], order, signed=True)  # type: ignore[arg-type]
        if n == len(self._table):
            self._table = np.concatenate((self._table, np.zeros_like(self._table)))
        row = self._table[n]
        row[:] = (link, snaplen, 0, 0, -1, max(-LATEST // 2, min(LATEST // 2, offset * 1_000_000_000)), -1, 0)
        if binary:
            row[SHIFT] = exponent
        elif exponent <= 9:
            row[MULTIPLY] = 10 ** (9 - exponent)
            row[MOST] = LATEST // 10 ** (9 - exponent)
        elif exponent <= 27:
            row[DIVIDE] = 10 ** (exponent - 9)
        names = [options.get(code, b"").decode("utf-8", "replace") for code in (2, 3)]
        resolved = (2 if binary else 10) ** exponent
        self.interfaces.append(Interface(link, snaplen, names[0], names[1], resolved, offset, tuple(comments)))
        self._described.append(self._base + at)

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
        met = int(self._state[NOTES])
        for at, length, _ in self._notes[: min(met, NOTE_ROWS)]:
            self._comment(buf[at : at + length].tobytes())
        self.comments += max(0, met - NOTE_ROWS)
        for _ in range(int(self._state[SKIPPED])):
            self._count_damage(self.frames + 1, "a packet block whose lengths or interface cannot be true")

    def ledger(self) -> list[LedgerLine]:
        """As every framer's, and secrets, unknown blocks and comments."""
        lines = super().ledger()
        stepped = Counter(self._unknown)
        stepped.update({int(kind): int(n) for kind, n in self._passed if n})
        del stepped[NAMES]
        if secrets := stepped.pop(SECRETS, 0):
            lines.append(LedgerLine("secrets_skipped", secrets))
        if stepped:
            told = ", ".join(f"0x{kind:x} {n}" if kind >= 0 else f"others {n}" for kind, n in stepped.most_common(5))
            lines.append(LedgerLine("blocks_skipped", stepped.total(), (), told))
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
