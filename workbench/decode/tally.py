"""What was not decoded, counted by reason with the first frames concerned: the ledger's raw material."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, exported, i64, kernel
from workbench.decode.packets import PACKETS
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812
from workbench.records.links import link_name
from workbench.records.reasons import BY_CODE, MAX_REASONS, LedgerLine

_FIRST: Final = 5  # frame numbers kept per line
_DETAILS: Final = 64  # different details kept per reason; later ones are counted as others
_TOLD: Final = 6

#: A line that is no reason of undecoded packets has the row behind theirs.
_SNAPLEN: Final = MAX_REASONS
_ROWS: Final = MAX_REASONS + 1

_ETHER_TYPES: Final[dict[int, str]] = {
    0x0842: "Wake-on-LAN",
    0x2000: "CDP",
    0x6002: "DEC MOP",
    0x6003: "DECnet",
    0x6004: "DEC LAT",
    0x8137: "IPX",
    0x809B: "AppleTalk",
    0x80F3: "AppleTalk ARP",
    0x8808: "flow control",
    0x8809: "slow protocols",
    0x886D: "Intel teaming",
    0x886F: "network load balancing",
    0x8870: "jumbo LLC",
    0x8874: "Broadcom",
    0x887B: "HomePlug 1.0",
    0x888E: "EAPOL",
    0x8892: "PROFINET",
    0x8899: "Realtek",
    0x88A2: "ATA over Ethernet",
    0x88A4: "EtherCAT",
    0x88B5: "local experimental",
    0x88B8: "GOOSE",
    0x88BA: "IEC sampled values",
    0x88CC: "LLDP",
    0x88E1: "HomePlug AV",
    0x88E5: "MACsec",
    0x88F7: "PTP",
    0x8902: "CFM",
    0x8906: "FCoE",
    0x8914: "FCoE initialisation",
    0x8915: "RoCE v1",
    0x893A: "IEEE 1905.1",
    0x9000: "loopback test",
    0x99FE: "MetaMako trailer",
    0xFEFE: "OSI (IS-IS)",
}
#: What a detail is, by reason: a number with names, a link type, or a plain number.
_WORDS: Final[dict[int, str]] = {
    R.IP_TRUNCATED: "IP version",
    R.IP_VERSION: "version",
    R.IP_HEADER_LENGTH: "header of",
    R.IP_TOTAL_LENGTH: "length",
    R.IP6_EXTENSION: "header type",
    R.TRANSPORT_TRUNCATED: "protocol",
    R.ARP_MALFORMED: "hardware type",
    R.MPLS_PAYLOAD: "first nibble",
}
_LINKS: Final = (R.LINK_TYPE, R.LINK_TRUNCATED, R.EMPTY)
_SAPS: Final[dict[int, str]] = {0x4242: "spanning tree", 0xFEFE: "OSI (IS-IS)", 0xF0F0: "NetBIOS", 0xE0E0: "IPX", 0xAAAA: "SNAP"}

_NAMED: Final[dict[int, dict[int, str]]] = {
    R.ETHERTYPE: _ETHER_TYPES,
    R.LINK_CONTROL: _ETHER_TYPES,
    R.VLAN_TRUNCATED: {},
    R.LLC: _SAPS,
    R.PPP_PROTOCOL: {},
    R.PPPOE_CONTROL: {0x8863: "discovery", 0xC021: "LCP", 0xC023: "PAP", 0xC223: "CHAP", 0x8021: "IPCP", 0x8057: "IPV6CP"},
}


@kernel
def _add(row: int, frame: int, counts: Numbers, firsts: Numbers) -> None:
    if counts[row] < _FIRST:
        firsts[row, counts[row]] = frame
    counts[row] += 1


@kernel
def _add_detail(row: int, value: int, details: Numbers) -> None:
    for k in range(_DETAILS):
        if details[row, k, 1] == 0 or details[row, k, 0] == value:
            details[row, k, 0] = value
            details[row, k, 1] += 1
            return


_NUMBERS: Final = types.int64[::1]


@exported(types.void(PACKETS, types.int64, types.int64, _NUMBERS, _NUMBERS, types.int64[:, ::1], types.int64[:, :, ::1]))
def _count(
    packets: NDArray[Any], n: int, first_frame: int, numbers: Numbers, counts: Numbers, firsts: Numbers, details: Numbers
) -> None:
    """Add packets[:n]. counts[row]; firsts[row, 5]; details[row, k] = (value, count).

    numbers: the packets' frame numbers; where it is empty they count from first_frame.
    """
    for i in range(min(n, len(packets))):
        p = packets[i]
        frame = numbers[i] if i < len(numbers) else first_frame + i
        undecoded = p.status == P.UNDECODED
        if p.marks & P.CUT:
            _add(_SNAPLEN, frame, counts, firsts)
        if undecoded:
            reason = min(i64(p.reason), MAX_REASONS - 1)
            _add(reason, frame, counts, firsts)
            _add_detail(reason, i64(p.detail), details)


_NONE: Final = np.empty(0, np.int64)


class UndecodedTally:
    """Counts every row that is not part of a flow or of `arp`, and those captured short."""

    def __init__(self) -> None:
        self._counts = np.zeros(_ROWS, np.int64)
        self._firsts = np.zeros((_ROWS, _FIRST), np.int64)
        self._details = np.zeros((_ROWS, _DETAILS, 2), np.int64)

    def add(self, packets: NDArray[Any], n: int, first_frame: int, numbers: NDArray[np.int64] | None = None) -> None:
        """Count packets[:n]; first_frame: the number, from 1, of packets[0] within the source.

        numbers: the number of every one of them, where some of the source's were left out.
        """
        _count(packets, n, first_frame, _NONE if numbers is None else numbers, self._counts, self._firsts, self._details)

    @property
    def undecoded(self) -> int:
        """Rows that were neither flow nor ARP."""
        return int(self._counts[:MAX_REASONS].sum())

    def ledger(self) -> list[LedgerLine]:
        """One line per reason met, in the order of the codes."""
        lines = []
        for row in np.flatnonzero(self._counts).tolist():
            count = int(self._counts[row])
            name = "snaplen" if row == _SNAPLEN else BY_CODE[row].name
            firsts = tuple(self._firsts[row, : min(count, _FIRST)].tolist())
            lines.append(LedgerLine(name, count, firsts, self._describe(row)))
        return lines

    def _describe(self, row: int) -> str:
        """The most frequent details: "0x88cc LLDP 12, 0x2000 CDP 3"."""
        found = [(int(v), int(c)) for v, c in self._details[row] if c]
        found.sort(key=lambda item: -item[1])
        texts: dict[str, int] = {}
        for value, count in found:
            text = detail_text(row, value)
            texts[text] = texts.get(text, 0) + count
        told = [f"{text} {count}".strip() for text, count in list(texts.items())[:_TOLD] if text]
        others = int(self._counts[row]) - sum(list(texts.values())[:_TOLD])
        if told and others > 0:
            told.append(f"others {others}")
        return ", ".join(told)


def detail_text(reason: int, detail: int) -> str:
    """PACKET.detail in words, for the reason it stands beside; '' where it says nothing more."""
    if reason in _NAMED:
        return f"0x{detail:04x} {_NAMED[reason].get(detail, '')}".strip()
    if reason in _LINKS:
        return link_name(detail) if detail < 1536 else f"0x{detail:04x}"
    if reason in _WORDS:
        return f"{_WORDS[reason]} {detail}"
    return str(detail) if detail else ""
