"""Names that capture programs give the files of one capture: what is fixed, and what counts up.

dumpcap and tshark (`-b`, also nametimenum), editcap (`-c`, `-i`), tcpdump (`-C`, `-W`, `-G`), netsniff-ng,
Suricata's and Snort's packet logs, Arkime. Names alone prove nothing; the times decide (expand.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rotated:
    """A name taken apart. rule: which program's habit. stem: what all files of the set share.

    order: what counts up. sensor: a name for the set, '' where nothing but a time is in the name.
    """

    rule: str
    stem: str
    order: tuple[int, ...]
    sensor: str


_COMPRESSION: Final = re.compile(r"\.(?:gz|bgz|zst|zstd|xz|lzma|lz4|bz2)$", re.IGNORECASE)
_EXTENSION: Final = re.compile(r"\.(?:pcapng|pcap|ntar|cap|dmp|dump|trc|trace|log)\d*$", re.IGNORECASE)
_DATE: Final = r"(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d"
_CLOCK: Final = r"[0-2]\d(?:[-_.:h]?[0-5]\d(?:[-_.:m]?[0-6]\d)?)?(?:\.\d{1,9})?"

#: Tried in this order. Groups: `stem` and `rest` are fixed, `a`, `b` count up.
_RULES: Final = (
    ("ring", re.compile(r"(?P<stem>.*)_(?P<a>\d{5,10})_(?P<b>\d{14})(?P<rest>\.[^.]*|)")),
    ("ring-by-time", re.compile(r"(?P<stem>.*)_(?P<a>\d{14})_(?P<b>\d{5,10})(?P<rest>\.[^.]*|)")),
    ("arkime", re.compile(r"(?P<stem>.*)-(?P<a>\d{6})-(?P<b>\d{8})(?P<rest>\.pcap)")),
    ("strftime", re.compile(rf"(?P<stem>.*?)(?<!\d)(?P<a>{_DATE}(?:[-_.T ]?{_CLOCK})?Z?)(?!\d)(?P<rest>\D*?)(?P<b>\d*)")),
    ("epoch", re.compile(r"(?P<stem>.*?)(?<!\d)(?P<a>1\d{9}(?:\.\d{1,9})?)(?!\d)(?P<rest>\D*?)(?P<b>\d*)")),
    ("size", re.compile(r"(?P<stem>.+\.(?:pcapng|pcap|cap|dmp|dump))(?P<rest>)(?P<b>\d*)(?P<a>)", re.IGNORECASE)),
)


def rotated_name(name: str) -> Rotated | None:
    """A file name (no folder) as a member of a rotated set; None for one no program would give.

    `name.pcap` is the first file of `tcpdump -C`: it counts as 0.
    """
    bare = _COMPRESSION.sub("", name)
    packed = name[len(bare) :]
    for rule, pattern in _RULES:
        match = pattern.fullmatch(bare)
        if match is not None:
            order = tuple(_number(match[group]) for group in ("a", "b"))
            sensor = _EXTENSION.sub("", match["stem"].rstrip("-_. ")).rstrip("-_. ")
            return Rotated(rule, f"{match['stem']}*{match['rest']}{packed}", order, sensor)
    return None


def _number(text: str) -> int:
    """Digits of a counter or a date; a fraction is padded so that order is kept."""
    whole, _, fraction = text.partition(".") if text.count(".") == 1 and text[:1] == "1" else (text, "", "")
    digits = "".join(c for c in whole if c in "0123456789")
    return int((digits or "0") + fraction.ljust(9, "0")) if fraction else int(digits or 0) * 10**9


def stem_of(name: str) -> str:
    """A file name without compression and capture extensions: the default name of a sensor."""
    bare = _COMPRESSION.sub("", name)
    return _EXTENSION.sub("", bare) or bare or name
