"""Records of nfdump 1.7's files (layout 2): a header of 12 bytes and elements, each with its type and length.

Sources: nfdump's nfxV3.h and nffileV2.h. Elements may come in any order and are looked at in step for all records of a block: the
first of each, the second of each, and so on. A record is believed as far as its elements fit into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

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

#: Type of a flow record, and bytes of its header.
RECORD: Final = 11
HEADER: Final = 12
_ELEMENT: Final = 4
#: nfdump knows 43 elements; a record that tells of more is not read on behind these.
_MOST: Final = 64
_SAMPLED: Final = 2
_DENIED_EVENT: Final = 3
#: Marks of records: which of what a flow needs was there.
_TOLD, _ADDRESSED = 1, 2


def decode(data: Bytes, at: Places, sizes: Places, block: int, tally: Tally) -> Rows:
    """Rows of the records that stand at `at`, of these sizes; each must lie in `data` whole.

    Those that name no two addresses, and those that contradict themselves, are counted in `tally` under the block's number.
    """
    rows = blanks(len(at))
    marks = np.zeros(len(at), np.int64)
    events = np.zeros(len(at), np.int64)
    count = field(data, at + 4, 2)
    rows[:, r.DOMAIN] = field(data, at + 8, 2)
    cursor, end = at + HEADER, at + sizes
    left = np.minimum(count, _MOST)
    broken = np.zeros(len(at), np.bool_)
    while len(live := np.flatnonzero((left > 0) & ~broken)):
        place = cursor[live]
        fits = place + _ELEMENT <= end[live]
        broken[live[~fits]] = True
        live, place = live[fits], place[fits]
        kind, length = field(data, place, 2), field(data, place + 2, 2)
        fits = (length >= _ELEMENT) & (place + length <= end[live])
        broken[live[~fits]] = True
        live, place, kind, length = live[fits], place[fits], kind[fits], length[fits]
        for number in np.unique(kind).tolist():
            if number in _ELEMENTS:
                read, least = _ELEMENTS[number]
                mine = (kind == number) & (length >= _ELEMENT + least)
                read(data, place[mine] + _ELEMENT, rows, live[mine])
                marks[live[mine]] |= _TOLD if number == 1 else _ADDRESSED if number in (2, 3) else 0
                if number in (19, 25):
                    events[live[mine]] = nanos(field(data, place[mine] + _ELEMENT, 8))
        cursor[live] += length
        left[live] -= 1
    return _kept(rows, marks, events, broken, field(data, at + 10, 1), block, tally)


def _kept(rows: Rows, marks: Places, events: Places, broken: NDArray[np.bool_], flags: Places, block: int, tally: Tally) -> Rows:
    """The rows that are flows; the rest is counted."""
    untimed = (rows[:, r.START] == 0) & (rows[:, r.END] == 0)
    rows[untimed, r.START] = events[untimed]
    if broken.any():
        tally.add("telemetry_malformed", int(broken.sum()), block, "records whose elements do not fit into them")
    good = marks == _TOLD | _ADDRESSED
    if lost := int((~good & ~broken).sum()):
        tally.add("records_unkeyed", lost, block)
    if scaled := int((good & (flags & _SAMPLED != 0)).sum()):
        tally.add("sampled", scaled, block, "nfdump has multiplied their counters by the rate, which the file does not tell")
    kept: Rows = rows[good]
    return kept


def _generic(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.START] = nanos(field(data, at, 8))
    rows[n, r.END] = nanos(field(data, at + 8, 8))
    rows[n, r.PKTS], rows[n, r.BYTES] = counts(data, at + 24, 8), counts(data, at + 32, 8)
    rows[n, r.SRC_PORT], rows[n, r.DST_PORT] = field(data, at + 40, 2), field(data, at + 42, 2)
    rows[n, r.PROTO], rows[n, r.FLAGS] = field(data, at + 44, 1), field(data, at + 45, 1)
    rows[n, r.VERDICT] = verdicts(field(data, at + 46, 1))


def _ipv4(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.SRC_LO], rows[n, r.DST_LO] = mapped(field(data, at, 4)), mapped(field(data, at + 4, 4))


def _ipv6(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    for slot, offset in ((r.SRC_HI, 0), (r.SRC_LO, 8), (r.DST_HI, 16), (r.DST_LO, 24)):
        rows[n, slot] = field(data, at + offset, 8)


def _misc(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.IN_IF], rows[n, r.OUT_IF] = positive(field(data, at, 4)), positive(field(data, at + 4, 4))
    rows[n, r.BIFLOW], rows[n, r.REASON] = positive(field(data, at + 12, 1)), positive(field(data, at + 13, 1))


def _counters(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.REVERSE_PKTS] = positive(counts(data, at + 8, 8))
    rows[n, r.REVERSE_BYTES] = positive(counts(data, at + 16, 8))


def _vlans(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.VLAN] = positive(field(data, at, 4))


def _macs(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    low = (1 << 48) - 1
    rows[n, r.SRC_MAC] = positive(field(data, at, 8) & low)
    came, left = field(data, at + 16, 8) & low, field(data, at + 8, 8) & low
    rows[n, r.DST_MAC] = positive(np.where(came > 0, came, left))


def _nsel(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    event = field(data, at + 14, 1)
    said = np.where(event == _DENIED_EVENT, r.DENIED, np.where(event > 0, r.ALLOWED, r.ABSENT))
    rows[n, r.VERDICT] = np.where(said != r.ABSENT, said, rows[n, r.VERDICT])


def _nat(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    """A NAT event has nothing but its time, which `decode` reads."""


def _tunnel4(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.OUTER_SRC_LO], rows[n, r.OUTER_DST_LO] = mapped(field(data, at, 4)), mapped(field(data, at + 4, 4))
    rows[n, r.OUTER_SRC_HI], rows[n, r.OUTER_DST_HI] = 0, 0


def _vrf(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    rows[n, r.VRF] = positive(field(data, at + 4, 4))


def _packet_filter(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    """OpenBSD's pf: action 0 passes, 1 drops."""
    action = field(data, at, 1)
    rows[n, r.VERDICT] = np.where(action == 1, r.DENIED, np.where(action == 0, r.ALLOWED, rows[n, r.VERDICT]))
    rows[n, r.RULE] = field(data, at + 4, 4)


def _layer2(data: Bytes, at: Places, rows: Rows, n: Places) -> None:
    vlan = field(data, at, 2) & 0xFFF
    rows[n, r.VLAN] = np.where(vlan > 0, vlan, rows[n, r.VLAN])
    rows[n, r.INNER_VLAN] = positive(field(data, at + 2, 2) & 0xFFF)
    vni = field(data, at + 16, 8)
    rows[n, r.VNI] = np.where((vni > 0) & (vni < 1 << 24), vni, r.ABSENT)


#: How elements are read, by type, and how many bytes they have at least.
_ELEMENTS: Final[dict[int, tuple[Callable[[Bytes, Places, Rows, Places], None], int]]] = {
    1: (_generic, 48),
    2: (_ipv4, 8),
    3: (_ipv6, 32),
    4: (_misc, 14),
    5: (_counters, 24),
    6: (_vlans, 8),
    15: (_macs, 32),
    19: (_nsel, 15),
    25: (_nat, 8),
    31: (_tunnel4, 8),
    36: (_vrf, 8),
    37: (_packet_filter, 8),
    38: (_layer2, 24),
}
