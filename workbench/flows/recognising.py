"""Which protocol a direction speaks, by its first bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.application.probes import MORE as PROBE_MORE
from workbench.decode.application.probes import NO, probe
from workbench.decode.bits import i64, kernel
from workbench.flows.giving import name_service
from workbench.flows.memory import end_at, hot_at, signature_at, stream_at
from workbench.flows.stream_rows import DEAF

_TCP: Final = 6
_UDP: Final = 17
_LOOK: Final = 256  # bytes by which a signature that wants more must have made up its mind
_PLAIN: Final = 4  # bytes of a signature that speaks against what the other direction is


@kernel
def _fits(signature: Any, buf: Any, at: Any, end: Any) -> Any:
    """NO, YES or MORE of one signature."""
    size = np.int64(signature.size)
    first = at + np.int64(signature.at)
    for i in range(min(size, end - first)):
        if (i64(buf[first + i]) & i64(signature.mask[i])) != signature.value[i]:
            return NO
    if end - at < max(np.int64(signature.least), np.int64(signature.at) + size):
        return PROBE_MORE
    if signature.probe == 0:
        return 1
    return probe(np.int64(signature.probe), buf, at, end)


@kernel
def _at_port(signature: Any, src: Any, dst: Any) -> Any:
    """Whether the signature may be asked for these ports."""
    count = np.int64(signature.port_count)
    if count == 0:
        return True
    for i in range(count):
        port = signature.ports[i]
        if port in (src, dst):
            return True
    return False


@kernel
def _beside(state: Any, slot: Any, side: Any, stream: Any, other: Any, buf: Any, at: Any, end: Any) -> Any:
    """Recognise a direction whose other one is: the same protocol, but where TCP begins with another's beyond doubt.

    An HTTP client at an SSH server is two protocols: the server's banner is one whatever it was asked. Only signatures count
    that leave no doubt without a port; they are few and told apart by their first byte. Returns as `listen`.
    """
    hot = hot_at(state, slot)
    waits = False
    for i in range(state.tcp_signatures if hot.proto == _TCP else np.int64(0)):
        signature = signature_at(state, i)
        if signature.strong == 0:  # those come first
            break
        if (buf[at] & signature.lead_mask) != signature.lead or signature.size < _PLAIN or signature.port_count != 0:
            continue
        if signature.protocol == other.protocol or (signature.side != 0 and signature.side != side + 1):
            continue
        fits = _fits(signature, buf, at, end)
        if fits == 1:
            stream.protocol = signature.protocol
            stream.vouched = 1
            name_service(stream, np.int64(signature.protocol))
            return 1
        waits = waits or fits == PROBE_MORE
    if waits and 1 < end - at < _LOOK:  # a single byte is a whole answer in some (PostgreSQL's S)
        return 2
    stream.protocol = other.protocol
    stream.vouched = other.vouched
    return 1


@kernel
def listen(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, end: Any) -> Any:
    """Recognise a direction by its first bytes: 1 done, 0 nothing fits, 2 more bytes are needed. end > at."""
    hot = hot_at(state, slot)
    peer = np.int64(end_at(state, 2 * slot + (1 - side)).stream)
    if peer != 0 and peer != DEAF:
        other = stream_at(state, (peer & 0x7FFFFFFF) - 1)
        if other.protocol != 0:
            return _beside(state, slot, side, stream, other, buf, at, end)
    if hot.proto == _TCP:
        low, high = np.int64(0), state.tcp_signatures
    elif hot.proto == _UDP:
        low, high = state.tcp_signatures, state.udp_signatures
    else:
        low, high = state.udp_signatures, state.all_signatures
    waits = False
    for i in range(low, high):
        signature = signature_at(state, i)
        if (buf[at] & signature.lead_mask) != signature.lead:
            continue
        if signature.side != 0 and signature.side != side + 1:
            continue
        if not _at_port(signature, hot.src_port, hot.dst_port):
            continue
        fits = _fits(signature, buf, at, end)
        if fits == 1:
            stream.protocol = signature.protocol
            stream.vouched = signature.strong
            if signature.strong:
                name_service(stream, np.int64(signature.protocol))
            return 1
        if fits == PROBE_MORE:
            waits = True
    return 2 if waits and hot.proto == _TCP and end - at < _LOOK else 0
