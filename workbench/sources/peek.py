"""A first look at a capture or at telemetry: what kind, which link type, when it begins and ends.

Bounded whatever the file says: 64 KiB at its beginning, 1 MiB at its end. It serves to pick captures out
of a folder and to tell rotated sets; reading them properly is framing's task. Formats: the pcap and
pcapng Internet-Drafts (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from workbench.errors import WorkbenchError
from workbench.sources.bytes import open_bytes

_HEAD: Final = 64 << 10
_TAIL: Final = 1 << 20
_SECOND: Final = 1_000_000_000
#: Seconds a record's time may lie before the first packet's and behind it: what else is no record.
_SKEW: Final = 3600
_LONGEST: Final = 400 * 86400

#: pcap magic as it lies in the file: byte order, nanoseconds a tick.
_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x34\xcd\xb2\xa1": ("<", 1000),  # libpcap as patched by A. Kuznetzov
    b"\xa1\xb2\xcd\x34": (">", 1000),
}
_PATCHED: Final = (b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34")
_NFDUMP: Final = (b"\x0c\xa5\x01\x00", b"\x0c\xa5\x02\x00", b"\xa5\x0c\x00\x01", b"\xa5\x0c\x00\x02")
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_EPB, _PB, _IDB = 6, 2, 1


@dataclass(frozen=True, slots=True)
class Interface:
    """What a pcapng interface block says that matters here: nanoseconds = ticks * num // den + offset."""

    link_type: int
    num: int = 1000
    den: int = 1
    offset: int = 0

    def time(self, ticks: int) -> int:
        """Nanoseconds since 1970 of a time stamp."""
        return ticks * self.num // self.den + self.offset


@dataclass(frozen=True, slots=True)
class Peek:
    """What a first look tells. first: time of the first packet in ns, None where there is none in reach."""

    kind: str
    link_type: int | None
    first: int | None
    compression: str | None
    order: str = "<"
    interfaces: tuple[Interface, ...] = field(default=())
    snaplen: int = 0
    patched: bool = False


#: What tells a file of another kind by its first bytes: the kind's name.
Recognise = Callable[[bytes], str | None]


def peek(path: str, recognise: Recognise | None = None) -> Peek | None:
    """Look at the beginning of a file, decompressed; None for what is no capture, nor what `recognise` tells.

    Raises what open_bytes raises. Damage behind a recognisable beginning is left for later.
    """
    reader = open_bytes(path)
    head = bytearray(_HEAD)
    view = memoryview(head)
    got = 0
    try:
        while got < _HEAD and (n := reader.readinto(view[got:])):
            got += n
    except WorkbenchError:
        if got == 0:
            raise
    finally:
        reader.close()
    found = _look(bytes(view[:got]), reader.compression)
    kind = recognise(bytes(view[:got])) if found is None and recognise is not None else None
    return found if kind is None else Peek(kind, None, None, reader.compression)


def _look(head: bytes, compression: str | None) -> Peek | None:
    telemetry = telemetry_kind(head)
    if telemetry is not None:
        return Peek(telemetry, None, None, compression)
    magic = head[:4]
    if magic in _PCAP:
        return _look_pcap(head, compression, *_PCAP[magic])
    if magic == _PCAPNG:
        return _look_pcapng(head, compression)
    return None


def telemetry_kind(head: bytes) -> str | None:
    """The kind of flow telemetry that a file begins with: messages of exporters, one behind the other; None for others.

    IPFIX (RFC 7011, 5655), NetFlow 9 (RFC 3954) and 5, sFlow 5. They have no magic number: the header, and what must stand
    behind it, have to make sense. Files of nfdump, layout 1 and 2, have one, in the byte order of their machine.
    """
    if head[:4] in _NFDUMP:
        return "nfdump"
    if len(head) < 28:
        return None
    version, count = struct.unpack_from(">HH", head)
    if version in (9, 10):
        header = 16 if version == 10 else 20
        first, length = struct.unpack_from(">HH", head, header)
        room = count - header if version == 10 else 65535
        known = first >= 256 or first in ((2, 3) if version == 10 else (0, 1))
        fits = 4 <= length <= room and (version == 10 or 0 < count < 1024)
        return ("ipfix" if version == 10 else "netflow9") if known and fits else None
    if version == 5:
        return "netflow5" if 0 < count <= 30 and len(head) >= 72 else None
    return "sflow" if struct.unpack_from(">II", head) in ((5, 1), (5, 2)) else None


def _look_pcap(head: bytes, compression: str | None, order: str, tick: int) -> Peek:
    if len(head) < 24:
        return Peek("pcap", None, None, compression, order)
    snaplen, link = struct.unpack_from(order + "II", head, 16)
    first = None
    if len(head) >= 40:
        seconds, fraction = struct.unpack_from(order + "II", head, 24)
        first = seconds * _SECOND + fraction * tick
    clock = Interface(link & 0xFFFF, tick)
    return Peek("pcap", link & 0xFFFF, first, compression, order, (clock,), snaplen, head[:4] in _PATCHED)


def _look_pcapng(head: bytes, compression: str | None) -> Peek:
    order = ">" if head[8:12] == b"\x1a\x2b\x3c\x4d" else "<"
    interfaces: list[Interface] = []
    first = None
    at = 0
    while first is None and at + 12 <= len(head):
        kind, length = struct.unpack_from(order + "II", head, at)
        if length < 12 or length % 4:
            break
        body = head[at + 8 : at + length - 4]
        if kind == _IDB and len(body) >= 8:
            interfaces.append(_interface(body, order))
        else:
            first = _time(kind, body, order, interfaces)
        at += length
    link = interfaces[0].link_type if interfaces else None
    return Peek("pcapng", link, first, compression, order, tuple(interfaces))


def _interface(body: bytes, order: str) -> Interface:
    """An interface description block: link type, if_tsresol (9), if_tsoffset (14)."""
    (link,) = struct.unpack_from(order + "H", body, 0)
    num, den, offset = 1000, 1, 0
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == 0 or len(value) < length:
            break
        if code == 9 and length >= 1:
            num, den = _SECOND, 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == 14 and length >= 8:
            offset = struct.unpack_from(order + "q", value)[0] * _SECOND
        at += 4 + (length + 3) // 4 * 4
    return Interface(link, num, den, offset)


def _time(kind: int, body: bytes, order: str, interfaces: list[Interface] | tuple[Interface, ...]) -> int | None:
    """The time of an enhanced or an old packet block; None for every other block."""
    if kind == _EPB and len(body) >= 12:
        number, high, low = struct.unpack_from(order + "III", body)
    elif kind == _PB and len(body) >= 12:
        number, _, high, low = struct.unpack_from(order + "HHII", body)
    else:
        return None
    return interfaces[number].time(high << 32 | low) if number < len(interfaces) else None


def last_time(path: str, seen: Peek) -> int | None:
    """When the last packet of a plain capture came, in ns; None where its end does not tell.

    It does not for compressed files, for those cut inside a record, and for several pcapng sections of
    different clocks; the times of a set are then judged by the beginnings of its files alone.
    """
    if seen.compression is not None or seen.patched or not seen.interfaces:
        return None
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            start = max(0 if seen.kind == "pcapng" else 24, size - _TAIL)
            file.seek(start)
            tail = file.read(_TAIL)
    except OSError:
        return None
    return _last_pcapng(tail, seen) if seen.kind == "pcapng" else _last_pcap(tail, seen)


def _last_pcapng(tail: bytes, seen: Peek) -> int | None:
    """Walk blocks backwards by their trailing lengths to the last packet."""
    end = len(tail)
    while end >= 12:
        (length,) = struct.unpack_from(seen.order + "I", tail, end - 4)
        start = end - length
        if length < 12 or start < 0:
            return None
        kind, again = struct.unpack_from(seen.order + "II", tail, start)
        if again != length:
            return None
        found = _time(kind, tail[start + 8 : end - 4], seen.order, seen.interfaces)
        if found is not None:
            return found
        end = start
    return None


def _last_pcap(tail: bytes, seen: Peek) -> int | None:
    """The last record: pcap has no way back, so find where a chain of records meets the end exactly.

    Every offset is a candidate whose lengths and time are possible; going backwards, one is good when it
    ends where a good one begins. The longest chain that ends the file is believed if it has two records,
    or is the one record there is. 30 ms for 1 MiB.
    """
    size = len(tail)
    if size < 16 or seen.first is None:
        return None
    field_at = np.lib.stride_tricks.sliding_window_view(np.frombuffer(tail, np.uint8), 4)
    count = size - 15
    seconds, captured, wire = (
        np.ascontiguousarray(field_at[n : n + count]).view(seen.order + "u4")[:, 0].astype(np.int64) for n in (0, 8, 12)
    )
    ends = np.arange(count) + 16 + captured
    began = seen.first // _SECOND
    possible = np.flatnonzero(
        (ends <= size) & (captured <= wire) & (wire > 0) & (seconds >= began - _SKEW) & (seconds <= began + _LONGEST)
    )
    chain: dict[int, tuple[int, int]] = {size: (-1, 0)}  # offset -> last record of its chain, records in it
    best: tuple[int, int] = (-1, 0)
    for at, end in zip(possible[::-1].tolist(), ends[possible][::-1].tolist(), strict=True):
        if end in chain:
            last, records = chain[end]
            chain[at] = (at if last < 0 else last, records + 1)
            best = max(best, chain[at], key=lambda found: found[1])
    if best[1] < 2 and 0 not in chain:
        return None
    whole, fraction = struct.unpack_from(seen.order + "II", tail, best[0])
    return int(whole * _SECOND + seen.interfaces[0].time(fraction))
