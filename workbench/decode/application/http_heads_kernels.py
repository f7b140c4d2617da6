"""Reading one HTTP/1 head (RFC 9112, 2 to 5): where its start line and the few fields that are kept lie.

Nothing is copied here: spans are places in the arena. A head costs one pass over its bytes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.protocol import MOST_TEXT
from workbench.decode.bits import i64, kernel

#: What a head is.
NOTHING: Final = 0
REQUEST: Final = 1
RESPONSE: Final = 2
BAD: Final = 3  # begins as one, and is none

#: Numbers of a head, in an int64 array.
KIND: Final = 0
STATUS: Final = 1  # -1: none
LENGTH: Final = 2  # Content-Length; -1: none, -2: not a number
CODED: Final = 3  # 1: a Transfer-Encoding is there
AUTH: Final = 4  # 1: a field carries NTLM or Negotiate
IS_HEAD: Final = 5  # 1: method HEAD
IS_CONNECT: Final = 6
HOSTED: Final = 7  # 1: a Host field was read, which goes before the target's authority
NUMBERS: Final = 8

#: Texts of a head: start and end of each in an int64 array of twice as many; start -1 where absent.
METHOD: Final = 0
HOST: Final = 1
PATH: Final = 2
AGENT: Final = 3
VERSION: Final = 4
REQUEST_TYPE: Final = 5
SERVER: Final = 6
RESPONSE_TYPE: Final = 7
TEXTS: Final = 8

_SP: Final = 32
_TAB: Final = 9
_LF: Final = 10
_CR: Final = 13
_COLON: Final = 58
_ZERO: Final = 48
_ONE: Final = 49
_SLASH: Final = 47
_AT: Final = 64
_MOST_METHOD: Final = 24

_NAMES: Final = np.frombuffer(
    b"hostservercontent-typeuser-agentcontent-lengthtransfer-encodingauthorizationwww-authenticate"
    b"proxy-authorizationproxy-authenticatehttp/ntlm negotiate head" + b"connect",
    np.uint8,
).copy()
# Places of the names above.
_N_HOST: Final = 0
_N_SERVER: Final = 4
_N_TYPE: Final = 10
_N_AGENT: Final = 22
_N_LENGTH: Final = 32
_N_CODING: Final = 46
_N_AUTHORIZATION: Final = 63
_N_AUTHENTICATE: Final = 76
_N_PROXY_AUTHORIZATION: Final = 92
_N_PROXY_AUTHENTICATE: Final = 111
_N_HTTP: Final = 129
_N_NTLM: Final = 134
_N_NEGOTIATE: Final = 139
_N_HEAD: Final = 149
_N_CONNECT: Final = 153


@kernel
def _same(a: NDArray[np.uint8], at: int, end: int, name: int, size: int) -> bool:
    """Whether a[at:end] begins with a name of ours, upper and lower case alike."""
    if end - at < size:
        return False
    for i in range(size):
        byte = a[at + i]
        if 65 <= byte <= 90:
            byte |= 32
        if byte != _NAMES[name + i]:
            return False
    return True


@kernel
def _line_end(a: NDArray[np.uint8], at: int, end: int) -> int:
    """Place of the next LF, or the end."""
    while at < end and a[at] != _LF:
        at += 1
    return at


@kernel
def _find(a: NDArray[np.uint8], at: int, end: int, byte: int) -> int:
    while at < end and a[at] != byte:
        at += 1
    return at


@kernel
def _left(a: NDArray[np.uint8], at: int, end: int) -> int:
    while at < end and (a[at] == _SP or a[at] == _TAB):
        at += 1
    return at


@kernel
def _right(a: NDArray[np.uint8], at: int, end: int) -> int:
    while end > at and (a[end - 1] == _SP or a[end - 1] == _TAB or a[end - 1] == _CR):
        end -= 1
    return end


@kernel
def _note(spans: NDArray[np.int64], text: int, at: int, end: int) -> None:
    """The first of a name counts; an empty one is none."""
    if spans[2 * text] < 0 and end > at:
        spans[2 * text] = at
        spans[2 * text + 1] = end


@kernel
def _token(byte: int) -> bool:
    """Whether a byte may stand in a method: letters, digits and what RFC 9110 (5.6.2) adds, of which - and _ are in use."""
    return 65 <= byte <= 90 or 97 <= byte <= 122 or 48 <= byte <= 57 or byte == 45 or byte == 95


@kernel
def _number(a: NDArray[np.uint8], at: int, end: int) -> int:
    """A decimal number of up to 18 digits; -2 where it is none."""
    if at == end or end - at > 18:
        return -2
    value = 0
    for i in range(at, end):
        digit = i64(a[i]) - 48
        if digit < 0 or digit > 9:
            return -2
        value = value * 10 + digit
    return value


@kernel
def _authority(a: NDArray[np.uint8], at: int, end: int, spans: NDArray[np.int64]) -> None:
    """Host and port without user and password, which some clients put before them."""
    for i in range(at, end):
        if a[i] == _AT:
            at = i + 1
    spans[2 * HOST] = -1
    _note(spans, HOST, at, end)


@kernel
def _target(a: NDArray[np.uint8], at: int, end: int, connect: bool, spans: NDArray[np.int64]) -> None:
    """The four forms of a target (RFC 9112, 3.2): path; whole URI; host and port; asterisk. Query and fragment are left."""
    if connect:
        _authority(a, at, end, spans)
        return
    stop = at
    while stop < end and a[stop] != 63 and a[stop] != 35:  # ? #
        stop += 1
    scheme = at
    while scheme < stop and _token(a[scheme]):
        scheme += 1
    if scheme > at and scheme + 2 < stop and a[scheme] == _COLON and a[scheme + 1] == _SLASH and a[scheme + 2] == _SLASH:
        at = _find(a, scheme + 3, stop, _SLASH)
        _authority(a, scheme + 3, at, spans)
    _note(spans, PATH, at, stop)


@kernel
def _request(a: NDArray[np.uint8], at: int, end: int, numbers: NDArray[np.int64], spans: NDArray[np.int64]) -> int:
    """Read ``METHOD target HTTP/1.1``; ``GET /target`` alone is HTTP/0.9 and has no version,
    whatever the method: scanners send others so too, and some leave out the target."""
    method = at
    while method < end and method - at <= _MOST_METHOD and _token(a[method]):
        method += 1
    if method == at or method >= end or a[method] != _SP:
        return NOTHING
    last = end  # the version is what stands behind the last space: targets with spaces in them are sent
    while last > method and a[last - 1] != _SP:
        last -= 1
    target = _left(a, method, end)
    if last >= target and _same(a, last, end, _N_HTTP, 5):
        if last + 5 < end and a[last + 5] != _ZERO and a[last + 5] != _ONE:
            return NOTHING  # PRI * HTTP/2.0
        _note(spans, VERSION, last + 5, min(end, last + 13))
        end = _right(a, target, last)
    elif last != target or target >= end or a[target] != _SLASH:
        return NOTHING
    _note(spans, METHOD, at, method)
    numbers[IS_HEAD] = method - at == 4 and _same(a, at, method, _N_HEAD, 4)
    numbers[IS_CONNECT] = method - at == 7 and _same(a, at, method, _N_CONNECT, 7)
    _target(a, target, end, numbers[IS_CONNECT] == 1, spans)
    return REQUEST


@kernel
def _response(a: NDArray[np.uint8], at: int, end: int, numbers: NDArray[np.int64]) -> int:
    """Read ``HTTP/1.1 200 OK``."""
    code = _find(a, at, end, _SP)
    code = _left(a, code, end)
    if code + 3 > end or (code + 3 < end and a[code + 3] != _SP and a[code + 3] != _CR):
        return BAD
    status = _number(a, code, code + 3)
    if status < 100:
        return BAD
    numbers[STATUS] = status
    return RESPONSE


@kernel
def _carries(a: NDArray[np.uint8], at: int, end: int) -> bool:
    return _same(a, at, end, _N_NTLM, 5) or _same(a, at, end, _N_NEGOTIATE, 10)


@kernel
def _field(
    a: NDArray[np.uint8], at: int, colon: int, end: int, kind: int, numbers: NDArray[np.int64], spans: NDArray[np.int64]
) -> None:
    """One field line: name a[at:colon], value behind it."""
    size = colon - at
    start = _left(a, colon + 1, end)
    if size == 4 and kind == REQUEST and _same(a, at, colon, _N_HOST, 4):
        if numbers[HOSTED] == 0:
            numbers[HOSTED] = 1
            _authority(a, start, end, spans)
    elif size == 6 and kind == RESPONSE and _same(a, at, colon, _N_SERVER, 6):
        _note(spans, SERVER, start, end)
    elif size == 10 and kind == REQUEST and _same(a, at, colon, _N_AGENT, 10):
        _note(spans, AGENT, start, end)
    elif size == 12 and _same(a, at, colon, _N_TYPE, 12):
        stop = _right(a, start, _find(a, start, end, 59))
        _note(spans, REQUEST_TYPE if kind == REQUEST else RESPONSE_TYPE, start, stop)
    elif size == 14 and _same(a, at, colon, _N_LENGTH, 14):
        if numbers[LENGTH] == -1:
            numbers[LENGTH] = _number(a, start, end)
    elif size == 17 and _same(a, at, colon, _N_CODING, 17):
        numbers[CODED] = 1
    elif (
        (size == 13 and _same(a, at, colon, _N_AUTHORIZATION, 13))
        or (size == 16 and _same(a, at, colon, _N_AUTHENTICATE, 16))
        or (size == 19 and _same(a, at, colon, _N_PROXY_AUTHORIZATION, 19))
        or (size == 18 and _same(a, at, colon, _N_PROXY_AUTHENTICATE, 18))
    ) and _carries(a, start, end):
        numbers[AUTH] = 1


@kernel
def read_head(a: NDArray[np.uint8], at: int, end: int, numbers: NDArray[np.int64], spans: NDArray[np.int64]) -> int:
    """Read the head a[at:end], a cut one as far as it goes; fills numbers and spans, returns its KIND."""
    numbers[:] = 0
    numbers[STATUS] = -1
    numbers[LENGTH] = -1
    spans[:] = -1
    while at < end and (a[at] == _CR or a[at] == _LF):  # some send empty lines first (RFC 9112, 2.2)
        at += 1
    stop = _line_end(a, at, end)
    last = _right(a, at, stop)
    kind = _response(a, at, last, numbers) if _same(a, at, last, _N_HTTP, 5) else _request(a, at, last, numbers, spans)
    numbers[KIND] = kind
    if kind != REQUEST and kind != RESPONSE:
        return kind
    while stop < end:
        at = stop + 1
        stop = _line_end(a, at, end)
        last = _right(a, at, stop)
        if last == at:
            break
        if a[at] == _SP or a[at] == _TAB:  # goes on with the line before: what is kept has one line
            continue
        colon = _find(a, at, last, _COLON)
        if colon < last:
            _field(a, at, colon, last, kind, numbers, spans)
    return kind


@kernel
def _utf8(a: NDArray[np.uint8], at: int, end: int) -> int:
    """Bytes of the character at `at` (RFC 3629): 0 where it is none, or NUL."""
    first = i64(a[at])
    if first < 0x80:
        return 1 if first else 0
    size = 2 if 0xC2 <= first < 0xE0 else 3 if 0xE0 <= first < 0xF0 else 4 if 0xF0 <= first < 0xF5 else 0
    if size == 0 or at + size > end:
        return 0
    second = i64(a[at + 1])
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    if second < low or second > high:
        return 0
    for i in range(2, size):
        if a[at + i] & 0xC0 != 0x80:
            return 0
    return size


@kernel
def _hex(value: int) -> int:
    return value + (48 if value < 10 else 87)


@kernel
def put_text(heap: NDArray[np.uint8], to: int, a: NDArray[np.uint8], at: int, end: int) -> int:
    """Copy a text as `protocol.text` makes it: valid UTF-8, what is none escaped; returns its end. Needs 4 bytes a byte."""
    room = MOST_TEXT
    while at < end and room > 0:
        size = _utf8(a, at, end)
        if size == 0:
            if room < 4:
                break
            byte = i64(a[at])
            heap[to] = 92
            heap[to + 1] = 120
            heap[to + 2] = _hex(byte >> 4)
            heap[to + 3] = _hex(byte & 15)
            to += 4
            at += 1
            room -= 4
            continue
        for i in range(size):
            heap[to + i] = a[at + i]
        to += size
        at += size
        room -= 1
    return to
