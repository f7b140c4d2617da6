"""How much a diagram holds, field by field: whole numbers in limbs of 32 bits, since IPv6 has headers enough for 296.

The classes of a field have different sizes: so the runs of classes that lead from a node to the same child are added up, and what
is behind them is counted once for all that lead there.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, u64
from workbench.policy.decisions.store_kernel import STORE

#: Limbs of a count, and of a number of values of one field (2**128 has 129 bits).
LIMBS: Final = 10
SIZE: Final = 5
_I64: Final = types.int64
_tuple: Any = types.Tuple
#: Fields, places and runs, as in `decisions.runs`.
DIAGRAM: Final = _tuple((types.uint8[::1], types.int64[::1], types.int32[:, ::1]))


@kernel
def _field_of(nodes: Any, fields: Any, ref: int) -> int:
    """The field that a reference asks for first; 5: none."""
    if ref < 0:
        return i64(5)
    level = nodes[ref, 0]
    field = i64(0)
    while field < 4 and level >= fields[field + 1, 0]:
        field += 1
    return field


@exported(types.int64(STORE, _I64, types.int64[:, ::1], types.int32[::1], types.int32[::1]))
def entered(store: Any, root: int, fields: Any, index: Any, found: Any) -> int:
    """Nodes at which a field is entered, inner fields first; returns how many. index: of a node, its place in `found`, from 1.

    index, found: as long as there are nodes; index all 0. root: no outcome; it comes last.
    """
    nodes = store[0]
    found[0] = root
    index[root] = 1
    count = i64(1)
    seen = np.zeros(index.shape[0], np.uint8)
    stack = np.empty(256, np.int64)
    for field in range(5):
        at = i64(0)
        while at < count:
            if _field_of(nodes, fields, i64(found[at])) != field:
                at += 1
                continue
            stack[0] = found[at]
            top = i64(1)
            while top:
                top -= 1
                node = stack[top]
                if seen[node]:
                    continue
                seen[node] = 1
                for side in range(1, 3):
                    child = i64(nodes[node, side])
                    if child < 0:
                        continue
                    if _field_of(nodes, fields, child) == field:
                        stack[top] = child
                        top += 1
                    elif index[child] == 0:
                        found[count] = child
                        count += 1
                        index[child] = count
            at += 1
    came = found[:count].copy()
    at = i64(0)
    for field in range(4, -1, -1):
        for n in range(count):
            if _field_of(nodes, fields, i64(came[n])) == field:
                found[at] = came[n]
                at += 1
                index[came[n]] = at
    return count


@exported(
    types.int64(
        STORE, types.int64[:, ::1], types.int64[::1], types.int32[::1], types.int32[::1], types.uint8[::1], types.int64[::1],
        types.int32[:, ::1],
    )
)  # fmt: skip
def unfold(store: Any, fields: Any, sizes: Numbers, index: Any, found: Any, field_of: Any, at: Numbers, runs: Any) -> int:
    """Runs of the classes of the nodes in `found` (`decisions.runs`); returns how many, more than fit where they do not.

    sizes: classes of each field. field_of: as long as found; at: one longer.
    """
    nodes = store[0]
    stack = np.empty((256, 3), np.int64)
    count = i64(0)
    for n in range(found.shape[0]):
        field = _field_of(nodes, fields, i64(found[n]))
        field_of[n] = field
        end = fields[field, 0] + fields[field, 1]
        begins, behind, before = count, i64(-1), i64(-1)
        stack[0, 0], stack[0, 1], stack[0, 2] = found[n], 0, fields[field, 0]
        top = i64(1)
        while top:
            top -= 1
            ref, first, level = stack[top, 0], stack[top, 1], stack[top, 2]
            if ref == -1 or first >= sizes[field]:
                continue
            here = i64(nodes[ref, 0]) if ref >= 0 else end
            if here >= end:
                child = i64(index[ref] - 1) if ref >= 0 else ref
                last = min(first + (i64(1) << (end - level)), sizes[field]) - 1
                if count > begins and behind == first and before == child:
                    if count <= runs.shape[0]:
                        runs[count - 1, 1] = last
                else:
                    if count < runs.shape[0]:
                        runs[count, 0], runs[count, 1], runs[count, 2] = first, last, child
                    count += 1
                behind, before = last + 1, child
                continue
            half = i64(1) << (end - level - 1)
            low, high = ref, ref
            if here == level:
                low, high = i64(nodes[ref, 1]), i64(nodes[ref, 2])
            stack[top, 0], stack[top, 1], stack[top, 2] = high, first + half, level + 1
            stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2] = low, first, level + 1
            top += 2
        at[n + 1] = count
    return count


@kernel
def _add(sums: Any, row: int, starts: Any, first: int, behind: int) -> None:
    """Add the values of classes from first to before behind. starts: values before each class."""
    carry = u64(0)
    borrow = u64(0)
    for limb in range(SIZE):
        low = starts[first, limb] + borrow
        borrow = u64(1) if starts[behind, limb] < low else u64(0)
        value = starts[behind, limb] + (borrow << u64(32)) - low
        value += sums[row, limb] + carry
        sums[row, limb] = value & u64(0xFFFFFFFF)
        carry = value >> u64(32)


@kernel
def _times(a: Any, b: Any, many: int, out: Any) -> None:
    """out = a * b; a: LIMBS, b: `many`; what does not fit is never there."""
    out[:] = 0
    for i in range(LIMBS):
        if a[i] == 0:
            continue
        carry = u64(0)
        for j in range(min(many, LIMBS - i)):
            value = out[i + j] + a[i] * b[j] + carry
            out[i + j] = value & u64(0xFFFFFFFF)
            carry = value >> u64(32)
        if i + many < LIMBS:
            out[i + many] = carry


@kernel
def _float(limbs: Any) -> float:
    out = 0.0
    for limb in range(SIZE - 1, -1, -1):
        out = out * 4294967296.0 + float(limbs[limb])
    return out


@kernel
def _pieces(diagram: Any, want: int, parent: int, starts: Any, sums: Any, touched: Any) -> int:
    """The values that lead from a node to each child, into sums; returns how many children, into touched."""
    fields, at, runs = diagram
    field = i64(fields[parent])
    several = i64(0)
    for run in range(at[parent], at[parent + 1]):
        child = i64(runs[run, 2]) + 1
        if child <= 0:
            if child - 1 != want:
                continue
            child = i64(0)
        empty = True
        for limb in range(SIZE):
            empty &= sums[child, limb] == 0
        if empty:
            touched[several] = child
            several += 1
        _add(sums, child, starts[field], i64(runs[run, 0]), i64(runs[run, 1]) + 1)
    return several


@exported(
    types.void(
        DIAGRAM, _I64, types.uint64[:, :, ::1], types.uint64[:, ::1], types.uint64[:, ::1], types.float64[::1]
    )
)  # fmt: skip
def measure(diagram: Any, want: int, starts: Any, wholes: Any, counts: Any, best: Numbers) -> None:
    """Headers under each node that have the outcome `want`, and how many the widest row of them has; row 0 is it, n + 1 node n.

    starts: of each field and class, the values before it; wholes: all values of each field. counts: LIMBS a node.
    """
    fields = diagram[0]
    count = i64(fields.shape[0])
    sums = np.zeros((count + 1, SIZE), np.uint64)
    touched = np.empty(count + 1, np.int64)
    one, two = np.empty(LIMBS, np.uint64), np.empty(LIMBS, np.uint64)
    counts[0, :] = 0
    counts[0, 0] = 1
    best[0] = 1.0
    for at in range(count):
        several = _pieces(diagram, want, at, starts, sums, touched)
        counts[at + 1, :] = 0
        best[at + 1] = 0.0
        for t in range(several):
            child = touched[t]
            one[:] = counts[child]
            width = best[child]
            last = i64(fields[child - 1]) if child else i64(5)
            for between in range(i64(fields[at]) + 1, last):
                _times(one, wholes[between], SIZE, two)
                one[:] = two
                width *= _float(wholes[between])
            _times(one, sums[child], SIZE, two)
            width *= _float(sums[child])
            carry = u64(0)
            for limb in range(LIMBS):
                value = counts[at + 1, limb] + two[limb] + carry
                counts[at + 1, limb] = value & u64(0xFFFFFFFF)
                carry = value >> u64(32)
            best[at + 1] = max(best[at + 1], width)
            sums[child, :] = 0


@exported(
    types.int64(
        DIAGRAM, _I64, _I64, types.uint64[:, :, ::1], types.uint64[:, ::1], types.float64[::1], types.uint64[:, ::1],
        types.int64[::1], types.float64[:, ::1],
    )
)  # fmt: skip
def edges(
    diagram: Any, want: int, parent: int, starts: Any, wholes: Any, best: Numbers, sums: Any, touched: Any, widths: Any
) -> int:
    """Where a node leads through its field; returns how many children, with places as in `measure` in touched.

    widths: of each child, the values that lead there, all values of the fields between, and the widest row behind it. sums,
    touched, widths: a place more than there are nodes; sums all 0, and left so.
    """
    fields = diagram[0]
    several = _pieces(diagram, want, parent, starts, sums, touched)
    for t in range(several):
        child = touched[t]
        last = i64(fields[child - 1]) if child else i64(5)
        widths[t, 0] = _float(sums[child])
        widths[t, 1] = 1.0
        for between in range(i64(fields[parent]) + 1, last):
            widths[t, 1] *= _float(wholes[between])
        widths[t, 2] = best[child]
        sums[child, :] = 0
    return several
