"""The judge of rows: the first rule whose bit the classes of both ends and of the service share, and the next after it.

Rules in the order in which they are tried have one bit each. Over the words of bits lies a summary, one bit a word that is not
0: of a thousand rules two or three words are looked at. No class is taken from a row that its table does not have: the numbers
of ends, services and classes are checked where they are used.
"""

from __future__ import annotations

from typing import Any, Final

from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, u64

#: Verdicts as numbers, and the rule of a flow that none decided, by the default or by nobody.
ALLOW, DENY, REJECT, UNMANAGED, UNDETERMINED, PASS = range(6)
NO_RULE: Final = -1

_tuple: Any = types.Tuple
_I64: Final = types.int64[::1]
_I32: Final = types.int32[::1]
_U8: Final = types.uint8[::1]
_BITS: Final = types.uint64[:, ::1]
_SIDE: Final = _tuple((_I32, _BITS, _BITS))


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
        _tuple((_I32, _I32, _I32, _U8, _I64)), _SIDE, _SIDE, _SIDE, _tuple((_U8, _I32, _I64, _U8)), types.int64,
        types.int64, types.int64, _tuple((_U8, _I32, _I32)),
    )
)  # fmt: skip
def judge_rows(rows: Any, froms: Any, tos: Any, services: Any, rules: Any, default: int, start: int, stop: int, out: Any) -> None:
    """Rows from start to before stop: verdicts, the rule that decided and the one that would have matched next.

    rows: src, dst, service, known, when. froms, tos, services: the class of each number, the bits and the summary of each
    class. rules: action, first rule of the next tier, when it ends, whether each class of ends is internal.
    """
    src_of, dst_of, service_of, known, when = rows
    verdicts, decided, following = out
    action_of, next_tier, expires, inside = rules
    from_class, from_bits, from_sum = froms
    to_class, to_bits, to_sum = tos
    service_class, service_bits, service_sum = services
    tops = from_sum.shape[1]
    for i in range(start, min(stop, src_of.shape[0], verdicts.shape[0])):
        decided[i] = NO_RULE
        following[i] = NO_RULE
        verdict = i64(PASS)
        if known[i] == 0:
            verdicts[i] = UNDETERMINED
            continue
        src, dst, service = i64(from_class[src_of[i]]), i64(to_class[dst_of[i]]), i64(service_class[service_of[i]])
        least = i64(0)  # rules before this one are of a tier that was passed
        top = i64(0)
        while top < tops:
            words = from_sum[src, top] & to_sum[dst, top] & service_sum[service, top]
            while words != 0:
                word = top * 64 + lowest_bit(words)
                words &= words - u64(1)
                bits = from_bits[src, word] & to_bits[dst, word] & service_bits[service, word]
                while bits != 0:
                    rule = word * 64 + lowest_bit(bits)
                    bits &= bits - u64(1)
                    if rule < least or when[i] >= expires[rule]:
                        continue
                    if verdict != PASS:
                        following[i] = rule
                        bits = words = u64(0)
                        top = i64(tops)
                    elif action_of[rule] == PASS:
                        least = i64(next_tier[rule])
                    else:
                        verdict = i64(action_of[rule])
                        decided[i] = rule
            top += 1
        if verdict == PASS:
            verdict = i64(default) if inside[src] != 0 and inside[dst] != 0 else i64(UNMANAGED)
        verdicts[i] = verdict


@exported(types.int64(_tuple((_U8, _U8, _I32)), _tuple((_I64, _I64, _I64, _I64, _I64)), _U8, _I32, _tuple((_U8, _I32, _I64, _I64,
                      _I64, _I64, _I64, _I64, _I64))))  # fmt: skip
def sum_changes(judged: Any, rows: Any, kinds: Any, slot: Numbers, out: Any) -> int:
    """Sum up rows whose verdict changed by group and kind; returns how many sums there are, as many as `out` has room for.

    judged: old and new verdict (below 8), group. rows: flows, bytes, live, first, last. kinds: of each old * 8 + new, 0 for no
    change, below 4. slot: -1 for each group * 4 + kind. out: kind, an example's row, flows, bytes, live, first, last, rows and
    most flows of a row.
    """
    old, new, group = judged
    flows, size, live, first, last = rows
    kind_of, example, out_flows, out_bytes, out_live, out_first, out_last, out_rows, out_most = out
    count = i64(0)
    for i in range(old.shape[0]):
        kind = i64(kinds[((i64(old[i]) & 7) << 3) | (i64(new[i]) & 7)])
        if kind == 0 or flows[i] == 0:
            continue
        at = i64(slot[i64(group[i]) * 4 + kind])
        if at < 0:
            if count >= kind_of.shape[0]:
                continue
            at = count
            slot[i64(group[i]) * 4 + kind] = at
            count += 1
            kind_of[at], example[at] = kind, i
            out_flows[at], out_bytes[at], out_live[at], out_rows[at], out_most[at] = 0, 0, 0, 0, 0
            out_first[at], out_last[at] = first[i], last[i]
        out_flows[at] += flows[i]
        out_bytes[at] += size[i]
        out_live[at] += live[i]
        out_rows[at] += 1
        out_first[at] = min(out_first[at], first[i])
        out_last[at] = max(out_last[at], last[i])
        if flows[i] > out_most[at]:
            out_most[at], example[at] = flows[i], i
    return count
