"""The judge of recorded flows: for each, the class of its addresses and ports, and the first rule whose bit they share.

An entry is one rule with one of its boxes of services, in the order in which rules are tried. Every class of addresses, ports and
protocols has one bit an entry; what matches a flow is what all five classes share. No array is longer than its flows or tables
say: `replay.judge` checks the lengths.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, u64

#: Verdicts as numbers, and the rule of a flow that none decided, by the default or by nobody.
ALLOW, DENY, REJECT, UNMANAGED, UNDETERMINED, PASS = range(6)
NO_RULE: Final = -1

_tuple: Any = types.Tuple
_U64: Final = types.uint64[::1]
_I64: Final = types.int64[::1]
_I32: Final = types.int32[::1]
_BITS: Final = types.uint64[:, ::1]
_FLAGS: Final = types.uint8[::1]
_SIDE: Final = _tuple((_U64, _U64, types.uint32[::1], _I32, _BITS, _FLAGS))


@kernel
def _class_of(side: Any, hi: Any, lo: Any) -> int:
    """The number of the interval that an address is in. side: first addresses (upper, lower), those of IPv4, where they are."""
    upper, lower, v4_starts, v4_index, _, _ = side
    if hi == 0 and lo >> u64(32) == u64(0xFFFF):
        address = lo & u64(0xFFFFFFFF)
        top = i64(address >> u64(16))
        first, last = i64(v4_index[top]), i64(v4_index[top + 1])
        while first < last:  # the last start that is not behind the address
            middle = (first + last + 1) >> 1
            if u64(v4_starts[middle]) <= address:
                first = middle
            else:
                last = middle - 1
        return first + i64(v4_index[65537])
    first, last = i64(0), i64(upper.shape[0] - 1)
    while first < last:
        middle = (first + last + 1) >> 1
        if upper[middle] < hi or (upper[middle] == hi and lower[middle] <= lo):
            first = middle
        else:
            last = middle - 1
    return first


@kernel
def lowest_bit(word: Any) -> int:
    """The number of the lowest bit that is set."""
    n = i64(0)
    for step in (32, 16, 8, 4, 2, 1):
        if word & ((u64(1) << u64(step)) - u64(1)) == 0:
            word >>= u64(step)
            n += step
    return n


@exported(
    types.void(
        _tuple((_I64, _I64, _I64, _I64)), _tuple((_I32, _I32, _I32)), _I64, _FLAGS,
        _SIDE, _SIDE, _tuple((_BITS, _I32, _BITS, _I32, _BITS)), _I32, _FLAGS, _I32, _I64, types.int64,
        types.int64, types.int64, _FLAGS, _I32, _I32,
    )
)  # fmt: skip
def judge_flows(
    ends: Any,
    ports: Any,
    when: Numbers,
    known: Any,
    froms: Any,
    tos: Any,
    services: Any,
    rule_of: Any,
    action_of: Any,
    next_tier: Any,
    expires: Numbers,
    default: int,
    start: int,
    stop: int,
    verdicts: Any,
    decided: Any,
    following: Any,
) -> None:
    """Flows from start to before stop: verdicts, the rule that decided and the one that would have matched next.

    next_tier: of each entry, the first entry of the tier after its own. expires: of each entry, in microseconds.
    """
    src_hi, src_lo, dst_hi, dst_lo = ends
    protos, sports, dports = ports
    proto_bits, sport_class, sport_bits, dport_class, dport_bits = services
    words = proto_bits.shape[1]
    for i in range(start, stop):
        decided[i] = NO_RULE
        following[i] = NO_RULE
        if known[i] == 0:
            verdicts[i] = UNDETERMINED
            continue
        hi, lo, far_hi, far_lo = u64(src_hi[i]), u64(src_lo[i]), u64(dst_hi[i]), u64(dst_lo[i])
        src, dst = _class_of(froms, hi, lo), _class_of(tos, far_hi, far_lo)
        proto, sport, dport = protos[i] & 255, sport_class[sports[i] & 65535], dport_class[dports[i] & 65535]
        verdict = i64(PASS)
        least = i64(0)  # entries before this one are of a tier that was passed
        same = (hi == 0 and lo >> u64(32) == u64(0xFFFF)) == (far_hi == 0 and far_lo >> u64(32) == u64(0xFFFF))
        word = i64(0) if same else i64(words)
        while word < words:
            bits = froms[4][src, word] & tos[4][dst, word]
            if bits != 0:
                bits &= dport_bits[dport, word] & proto_bits[proto, word] & sport_bits[sport, word]
            while bits != 0:
                entry = word * 64 + lowest_bit(bits)
                bits &= bits - u64(1)
                if entry < least or when[i] >= expires[entry]:
                    continue
                if verdict != PASS:
                    if rule_of[entry] != decided[i]:
                        following[i] = rule_of[entry]
                        word = i64(words)
                        break
                elif action_of[entry] == PASS:
                    least = i64(next_tier[entry])
                else:
                    verdict = i64(action_of[entry])
                    decided[i] = rule_of[entry]
            word += 1
        if verdict == PASS:
            verdict = i64(default) if froms[5][src] != 0 and tos[5][dst] != 0 else i64(UNMANAGED)
        verdicts[i] = np.uint8(verdict)
