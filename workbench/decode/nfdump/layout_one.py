"""Records of nfdump 1.6's files (layout 1): a common header, then extensions in the order that a map names.

Source: nfdump 1.6's nffile.h. A map is a record of its own, before the first record that uses it. Flags of the record say how
wide its addresses and counters are. What stands behind an extension that is not known here cannot be found and is left.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from dataclasses import field as made
from typing import Final

import numpy as np

from workbench.decode.nfdump.fields import (
    Bytes,
    Places,
    Rows,
    blanks,
    counts,
    field,
    mapped,
    nanos,
    positive,
    verdicts,
)
from workbench.decode.telemetry.tallying import Tally
from workbench.records import telemetry as r

#: Types of records: flows with a header of 28 and of 32 bytes, and extension maps.
FLOWS: Final = {1: 28, 10: 32}
MAP: Final = 2
_MAX_MAPS: Final = 4096
_IPV6, _PKTS64, _BYTES64 = 1, 2, 4
_SAMPLED: Final = 128
#: Bytes of the optional extensions that are known, by number.
_WIDTHS: Final = {
    4: 4,
    5: 8,
    6: 4,
    7: 8,
    8: 4,
    9: 4,
    10: 16,
    11: 4,
    12: 16,
    13: 4,
    14: 4,
    15: 8,
    16: 4,
    17: 8,
    18: 4,
    19: 8,
    20: 16,
    21: 16,
    22: 40,
    23: 4,
    24: 16,
    25: 4,
    26: 8,
    27: 8,
}


@dataclass(slots=True)
class Maps:
    """Extension maps of a file, by number: the optional extensions of records, in order."""

    by_number: dict[int, tuple[int, ...]] = made(default_factory=dict)

    def learn(self, record: bytes) -> bool:
        """Take a map; False where it is none, or one too many."""
        if len(record) < 8 or len(self.by_number) >= _MAX_MAPS:
            return False
        number = struct.unpack_from("<H", record, 4)[0]
        listed = struct.unpack_from(f"<{(len(record) - 8) // 2}H", record, 8)
        self.by_number[number] = tuple(listed[: listed.index(0)] if 0 in listed else listed)
        return True


def decode(data: Bytes, at: Places, sizes: Places, kind: int, maps: Maps, block: int, tally: Tally) -> Rows:
    """Rows of the records of one kind that stand at `at`; each must lie in `data` whole, with its header."""
    header = FLOWS[kind]
    flags = field(data, at + 4, 2 if kind == 10 else 1)
    numbers = field(data, at + 6, 2)
    shape = numbers << 8 | flags & (_IPV6 | _PKTS64 | _BYTES64)
    out, order = [], []
    for one in np.unique(shape).tolist():
        listed = maps.by_number.get(one >> 8)
        mine = shape == one
        if listed is None:
            tally.add("template_missing", int(mine.sum()), block, f"extension map {one >> 8}")
            continue
        need = header + (32 if one & _IPV6 else 8) + (8 if one & _PKTS64 else 4) + (8 if one & _BYTES64 else 4)
        whole = mine & (sizes >= need)
        if short := int((mine & ~whole).sum()):
            tally.add("telemetry_malformed", short, block, "records shorter than what they say is in them")
        order.append(np.flatnonzero(whole))
        out.append(_rows(data, at[whole], sizes[whole], kind, one & 7, listed))
    if scaled := int((flags & _SAMPLED != 0).sum()):
        tally.add("sampled", scaled, block, "nfdump has multiplied their counters by the rate, which the file does not tell")
    if not out:
        return blanks(0)
    rows: Rows = np.concatenate(out)[np.argsort(np.concatenate(order))]
    return rows


def _rows(data: Bytes, at: Places, sizes: Places, kind: int, flags: int, listed: tuple[int, ...]) -> Rows:
    """Records of one shape: the same header, flags and map."""
    rows = blanks(len(at))
    rows[:, r.START] = nanos(field(data, at + 12, 4) * 1000 + field(data, at + 8, 2))
    rows[:, r.END] = nanos(field(data, at + 16, 4) * 1000 + field(data, at + 10, 2))
    rows[:, r.VERDICT] = verdicts(field(data, at + 20, 1))
    rows[:, r.FLAGS], rows[:, r.PROTO] = field(data, at + 21, 1), field(data, at + 22, 1)
    rows[:, r.SRC_PORT], rows[:, r.DST_PORT] = field(data, at + 24, 2), field(data, at + 26, 2)
    rows[:, r.DOMAIN] = field(data, at + 28, 2) if kind == 10 else field(data, at + 5, 1)
    cursor = at + FLOWS[kind]
    if flags & _IPV6:
        for n, slot in enumerate((r.SRC_HI, r.SRC_LO, r.DST_HI, r.DST_LO)):
            rows[:, slot] = field(data, cursor + 8 * n, 8)
        cursor = cursor + 32
    else:
        rows[:, r.SRC_LO], rows[:, r.DST_LO] = mapped(field(data, cursor, 4)), mapped(field(data, cursor + 4, 4))
        cursor = cursor + 8
    for slot, wide in ((r.PKTS, flags & _PKTS64), (r.BYTES, flags & _BYTES64)):
        rows[:, slot] = counts(data, cursor, 8 if wide else 4)
        cursor = cursor + (8 if wide else 4)
    _extensions(data, cursor, at + sizes, rows, listed)
    return rows


def _extensions(data: Bytes, cursor: Places, end: Places, rows: Rows, listed: tuple[int, ...]) -> None:
    """The optional extensions, as far as they are known and there."""
    live = np.arange(len(rows))
    for number in listed:
        if number in (1, 2, 3):  # those that every record has
            continue
        width = _WIDTHS.get(number)
        if width is None:
            return
        there = cursor[live] + width <= end[live]
        live = live[there]
        if not len(live):
            return
        _extension(data, number, cursor[live], rows, live)
        cursor[live] += width


def _extension(data: Bytes, number: int, at: Places, rows: Rows, n: Places) -> None:
    low = (1 << 48) - 1
    if number in (4, 5):
        width = 2 if number == 4 else 4
        rows[n, r.IN_IF], rows[n, r.OUT_IF] = positive(field(data, at, width)), positive(field(data, at + width, width))
    elif number == 13:
        rows[n, r.VLAN] = positive(field(data, at, 2))
    elif number in (14, 15):
        rows[n, r.REVERSE_PKTS] = positive(counts(data, at, 4 if number == 14 else 8))
    elif number in (16, 17):
        rows[n, r.REVERSE_BYTES] = positive(counts(data, at, 4 if number == 16 else 8))
    elif number == 20:
        rows[n, r.SRC_MAC], rows[n, r.DST_MAC] = positive(field(data, at, 8) & low), positive(field(data, at + 8, 8) & low)
    elif number == 21:
        came = field(data, at, 8) & low
        rows[n, r.DST_MAC] = np.where(came > 0, came, rows[n, r.DST_MAC])
