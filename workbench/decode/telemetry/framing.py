"""Where messages begin and end in a file that holds nothing else, one behind the other.

IPFIX and NetFlow 5 say how long a message is; NetFlow 9 and sFlow 5 do not, and are walked: a NetFlow 9 message ends where a set
would have the number 9, which no set has and every message begins with.
"""

from __future__ import annotations

import struct
from typing import Final

from workbench.decode.telemetry import ipfix, netflow5, netflow9, sflow
from workbench.decode.telemetry.wire import Wire

#: No datagram is longer, so no message is.
LONGEST: Final = 65535
#: More bytes are needed to say.
MORE: Final = -1
_PAIR: Final = struct.Struct(">HH")
_WORDS: Final = struct.Struct(">II")


def message_length(buf: Wire, at: int, end: int, *, eof: bool) -> int:
    """Bytes of the message at `at`; MORE where buf[at:end] is not enough to say; 0 where there is none.

    eof: nothing comes behind `end`: what there is of a cut message is its length.
    """
    if end - at < 4:
        return 0 if eof else MORE
    version = _PAIR.unpack_from(buf, at)[0]
    if version in (5, 10):
        module = ipfix if version == 10 else netflow5
        if end - at < module.HEADER:
            return 0 if eof else MORE
        length: int = module.length_of(buf, at, end)
        if length <= end - at:
            return length
        return end - at if eof else MORE
    if version == 9:
        return _walk9(buf, at, end, eof=eof)
    return _walk_sflow(buf, at, end, eof=eof) if version == 0 else 0


def _walk9(buf: Wire, start: int, end: int, *, eof: bool) -> int:
    at = start + netflow9.HEADER
    while at + 4 <= end and at - start < LONGEST:
        number, length = _PAIR.unpack_from(buf, at)
        if number == 9 or length < 4:
            return at - start
        at += length
    if at - start >= LONGEST:
        return min(end - start, LONGEST)
    return min(at, end) - start if eof and end - start >= netflow9.HEADER else 0 if eof else MORE


def _walk_sflow(buf: Wire, start: int, end: int, *, eof: bool) -> int:
    if end - start < 40:
        return 0 if eof and not sflow.is_message(buf, start, end) else end - start if eof else MORE
    if not sflow.is_message(buf, start, end):
        return 0
    at = start + (28 if _WORDS.unpack_from(buf, start)[1] == 1 else 40)
    (count,) = struct.unpack_from(">I", buf, at - 4)
    for _ in range(count):
        if at + 8 > end:
            return end - start if eof else MORE
        at += 8 + _WORDS.unpack_from(buf, at)[1]
        if at - start > LONGEST:
            return min(end - start, LONGEST)
        if at > end:
            return end - start if eof else MORE
    return at - start
