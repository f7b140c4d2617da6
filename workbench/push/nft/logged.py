"""Lines that the kernel logs for nft rules with `log`, as journals and dmesg print them.

The words are those of nf_log_syslog (Linux): `PREFIX IN=p0 OUT=p1 ... SRC=10.0.0.1 DST=10.0.0.2 ... PROTO=TCP SPT=1 DPT=2`.
Our prefix is the rule's id; a time must stand before, with its zone. Anyone who sends packets chooses some of the words: none
but the first of each name counts, and addresses and numbers are read as what they must be.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

#: Characters of a line that are looked at; the kernel's own are shorter than 1,024.
_LONGEST: Final = 2048
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(Z|[+-]\d\d:?\d\d)\s")
_PREFIX: Final = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9_.-]{0,62}/[A-Za-z][A-Za-z0-9_.-]{0,62}) IN=")
_WORD: Final = re.compile(r"\b(SRC|DST|PROTO|SPT|DPT|TYPE|CODE)=(\S*)")
_PROTOCOLS: Final = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58, "SCTP": 132, "UDPLITE": 136, "AH": 51, "ESP": 50}
_ICMP: Final = (1, 58)


class Line(NamedTuple):
    """One packet. ts: UTC without zone; ports: of ICMP its type and code; null where the protocol has none."""

    ts: datetime
    rule_id: str
    proto: int
    src_ip: str
    dst_ip: str
    src_port: int | None
    dst_port: int | None


def read_line(text: str) -> Line | None:
    """What a line says; None where it is of no rule of ours, or not whole."""
    text = text[:_LONGEST]
    when, prefix = _TIME.search(text), _PREFIX.search(text)
    if when is None or prefix is None or prefix.start() < when.start():
        return None
    words: dict[str, str] = {}
    for name, value in _WORD.findall(text[prefix.end() :]):
        words.setdefault(name, value)
    try:
        proto = _PROTOCOLS[words["PROTO"]] if words["PROTO"] in _PROTOCOLS else _number(words["PROTO"], 255)
        src, dst = (str(ipaddress.ip_address(words[name])) for name in ("SRC", "DST"))
        ports: list[int | None] = [None, None]
        if proto in _ICMP or "SPT" in words:
            names = ("TYPE", "CODE") if proto in _ICMP else ("SPT", "DPT")
            ports = [_number(words[name], 65535) for name in names]
        fraction = when[1].replace(",", ".")[:26]
        ts = datetime.fromisoformat(fraction + when[2].replace("Z", "+00:00")).astimezone(UTC).replace(tzinfo=None)
    except (KeyError, ValueError, OverflowError):
        return None
    return Line(ts, prefix[1], proto, src, dst, *ports)


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or int(text) > most:
        raise ValueError(text)
    return int(text)
