"""How columns of `flows` look in a table: order, width, side, and what text a value becomes.

Names, meanings and headings come from the one column list; only what a terminal needs is here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from workbench.records.columns import FLOWS
from workbench.records.visible import visible
from workbench.tui import figures

#: Text of the wire longer than this is not measured or drawn further; no terminal is this wide.
TEXT_LIMIT: Final = 512

#: TCP flag bits from the least significant (RFC 9293, RFC 3168).
_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_FLAG_LETTERS: Final = "FSRPAUEC"

END_REASONS: Final = {1: "idle", 2: "active", 3: "ended", 4: "forced", 5: "no room"}
#: conn_state of a failed or refused attempt, and of an aborted connection; everything else is calm.
REFUSED: Final = frozenset({"REJ", "RSTOS0", "RSTRH"})
UNANSWERED: Final = frozenset({"S0", "SH", "SHR"})


@dataclass(frozen=True, slots=True)
class Look:
    """One column of a table. width: cells it starts with; most: cells it may grow to for longer text.

    role names the component style of its cells ('' = plain). text makes a value printable.
    """

    name: str
    heading: str
    meaning: str
    width: int
    most: int
    right: bool
    role: str
    text: Callable[[Any], str]


def text_cell(value: Any) -> str:
    """Any value as safe text; None is a dash. Costs no more for a 64 KB name than for a screenful."""
    if value is None:
        return figures.NOTHING
    if isinstance(value, str):
        return visible(value[:TEXT_LIMIT])
    if isinstance(value, dt.datetime):
        return figures.moment(value)
    if isinstance(value, bytes):
        return value[: TEXT_LIMIT // 2].hex()
    if isinstance(value, float):
        return f"{value:g}"
    return visible(str(value)[:TEXT_LIMIT])


def _clock(value: dt.datetime | None) -> str:
    return figures.clock(value)


def _dated(value: dt.datetime | None) -> str:
    return figures.clock(value, date=True)


def flag_letters(value: int | None) -> str:
    """TCP flags as letters in header order: `SA`, `FSPA`."""
    if value is None:
        return figures.NOTHING
    return "".join(letter for bit, letter in enumerate(_FLAG_LETTERS) if value >> bit & 1) or figures.NOTHING


def flag_words(value: int | None) -> str:
    """TCP flags as words: `SYN ACK`."""
    if value is None:
        return figures.NOTHING
    return " ".join(word for bit, word in enumerate(_FLAGS) if value >> bit & 1) or "none"


def end_reason(value: int | None) -> str:
    """Why a flow's row was closed, in a word."""
    return "open" if value is None else END_REASONS.get(value, str(value))


def protocol(value: str | None) -> str:
    """A protocol keyword as a narrow column shows it."""
    return "icmp6" if value == "ipv6-icmp" else text_cell(value)


def flow_number(value: int | None) -> str:
    """A flow id as `source.n`, the way it is made up."""
    return figures.NOTHING if value is None else f"{value >> 40}.{value & ((1 << 40) - 1)}"


#: Columns in the order of the table: name, width, most, right, role, text. The first ones identify a flow
#: and stay when the rest scrolls; what a responder looks for most fits 80 cells. Only addresses, numbers
#: and our own words may widen their column: names of the wire may not move what stands beside them.
_ORDER: Final[tuple[tuple[str, int, int, bool, str, Callable[[Any], str]], ...]] = (
    ("ts", 12, 12, False, "time", _clock),
    ("src_ip", 15, 39, False, "", text_cell),
    ("src_port", 5, 5, True, "quiet", text_cell),
    ("dst_ip", 15, 39, False, "", text_cell),
    ("dst_port", 5, 5, True, "", text_cell),
    ("proto_name", 5, 5, False, "", protocol),
    ("conn_state", 6, 6, False, "state", text_cell),
    ("src_bytes", 7, 8, True, "", figures.size),
    ("dst_bytes", 7, 8, True, "", figures.size),
    ("src_pkts", 6, 7, True, "", figures.count),
    ("dst_pkts", 6, 7, True, "", figures.count),
    ("duration", 7, 8, True, "", figures.duration),
    ("service", 8, 16, False, "", text_cell),
    ("history", 12, 12, False, "", text_cell),
    ("network", 12, 12, False, "", text_cell),
    ("rtt_us", 7, 8, True, "", figures.micros),
    ("retransmits", 5, 6, True, "", figures.count),
    ("src_payload", 8, 8, True, "", figures.size),
    ("dst_payload", 8, 8, True, "", figures.size),
    ("src_flags", 9, 9, False, "", flag_letters),
    ("dst_flags", 9, 9, False, "", flag_letters),
    ("end_reason", 10, 10, False, "", end_reason),
    ("ts_end", 12, 12, False, "time", _clock),
    ("tunnel", 12, 12, False, "", text_cell),
    ("vni", 8, 8, True, "", text_cell),
    ("vlan", 4, 5, True, "", text_cell),
    ("inner_vlan", 10, 10, True, "", text_cell),
    ("outer_vlan", 10, 10, True, "", text_cell),
    ("outer_src_ip", 15, 39, False, "", text_cell),
    ("outer_dst_ip", 15, 39, False, "", text_cell),
    ("src_mac", 17, 17, False, "", text_cell),
    ("dst_mac", 17, 17, False, "", text_cell),
    ("outer_src_mac", 17, 17, False, "", text_cell),
    ("outer_dst_mac", 17, 17, False, "", text_cell),
    ("verdict", 8, 8, False, "", text_cell),
    ("rule_id", 12, 12, False, "", text_cell),
    ("sampling", 8, 8, True, "", text_cell),
    ("sensor", 12, 12, False, "", text_cell),
    ("source_id", 6, 6, True, "", text_cell),
    ("proto", 6, 6, True, "", text_cell),
    ("community_id", 30, 30, False, "", text_cell),
    ("first_offset", 13, 15, True, "", text_cell),
    ("last_offset", 13, 15, True, "", text_cell),
    ("flow_id", 10, 16, True, "", flow_number),
)

#: Headings where the column list's would say the same thing twice on one screen.
_HEADINGS: Final = {"proto": "number", "src_port": "port", "dst_port": "port"}


def flow_looks(*, dates: bool) -> tuple[Look, ...]:
    """The columns of the flows table; dates: whether times need month and day (the case spans days)."""
    looks = []
    for name, width, most, right, role, text in _ORDER:
        column = FLOWS.column(name)
        heading = _HEADINGS.get(name) or column.heading or name.replace("_", " ")
        if role == "time" and dates:
            width, most, text = 18, 18, _dated
        width = max(width, len(heading))
        looks.append(Look(name, heading, column.meaning, width, max(width, most), right, role, text))
    return tuple(looks)


def state_role(value: str) -> str:
    """The component style of a conn_state; its letters say the same without colour."""
    if value in REFUSED:
        return "bad"
    return "warn" if value in UNANSWERED else ""
