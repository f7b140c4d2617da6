"""Chosen packets of a buffer as enhanced packet blocks of pcapng, with what people noted about them.

Little-endian (draft-ietf-opsawg-pcapng, 4.3). Options are copied one by one, and only those that belong to the packet
and mean the same elsewhere: comments, flags, packet number, queue. Everything else, custom options above all, stays behind.

Stores are one machine instruction and are not checked, as loads are not (see `bits`): the room is compared first. With
``NUMBA_BOUNDSCHECK=1`` they go byte by byte through checked indexing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from workbench.decode.bits import CHECKED, Numbers, be16, be32, exported, i64, kernel, le32
from workbench.records.packet import FRAME

#: Columns of the table of interfaces: their number in the output, nanoseconds a tick of their clock there.
NUMBER: Final = 0
UNIT: Final = 1
TARGET_COLUMNS: Final = 2

#: Slots of `state`: packets done, the room that the next one needs (0 where all are done).
DONE: Final = 0
NEEDS: Final = 1
STATE_SLOTS: Final = 2

#: Bytes of a block around its packet and options.
_FRAME: Final = 32
_ENHANCED: Final = 6
_SIMPLE: Final = 3
_OLD: Final = 2
_COMMENT: Final = 1

_BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)
_FRAMES: Final = types.Array(from_dtype(FRAME), 1, "C")


def _store() -> Any:
    """An intrinsic: a 32-bit number to a byte offset, little-endian whatever the alignment."""

    def store(_context: Any, out: Any, at: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            array = context.make_array(sig.args[0])(context, builder, args[0])
            base = builder.bitcast(array.data, ir.IntType(8).as_pointer())
            place = builder.bitcast(builder.gep(base, [args[1]]), ir.IntType(32).as_pointer())
            builder.store(builder.trunc(args[2], ir.IntType(32)), place, align=1)
            return context.get_dummy_value()

        return types.void(out, at, value), codegen

    return intrinsic(store)


def _move() -> Any:
    """An intrinsic: memcpy from a place in one buffer to a place in another; a loop of our own copies 300 MB/s."""

    def move(_context: Any, buf: Any, start: Any, size: Any, out: Any, at: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            byte = ir.IntType(8).as_pointer()
            source = context.make_array(sig.args[0])(context, builder, args[0])
            target = context.make_array(sig.args[3])(context, builder, args[3])
            here = builder.gep(builder.bitcast(source.data, byte), [args[1]])
            there = builder.gep(builder.bitcast(target.data, byte), [args[4]])
            cgutils.raw_memcpy(builder, there, here, args[2], 1)  # type: ignore[no-untyped-call]
            return context.get_dummy_value()

        return types.void(buf, start, size, out, at), codegen

    return intrinsic(move)


_store32, _memcpy = _store(), _move()

if CHECKED:

    @kernel
    def _put32(out: NDArray[np.uint8], at: int, value: int) -> None:
        for i in range(4):
            out[at + i] = (value >> (8 * i)) & 0xFF

    @kernel
    def _copy(buf: NDArray[np.uint8], start: int, size: int, out: NDArray[np.uint8], at: int) -> None:
        for i in range(size):
            out[at + i] = buf[start + i]

else:

    @kernel
    def _put32(out: NDArray[np.uint8], at: int, value: int) -> None:
        _store32(out, at, i64(value))

    @kernel
    def _copy(buf: NDArray[np.uint8], start: int, size: int, out: NDArray[np.uint8], at: int) -> None:
        _memcpy(buf, start, size, out, at)


@kernel
def _half(buf: NDArray[np.uint8], at: int, big: bool) -> int:
    value = be16(buf, at)
    return value if big else ((value & 0xFF) << 8) | (value >> 8)


@kernel
def _width(code: int, length: int) -> int:
    """Bytes of a number in an option that is copied, 0 for text, -1 for an option that is not."""
    if code == _COMMENT:
        return 0
    if (code == 2 and length == 4) or (code == 6 and length == 4):  # flags, queue
        return 4
    return 8 if code == 5 and length == 8 else -1  # packet number


@kernel
def _put_options(buf: NDArray[np.uint8], at: int, stop: int, big: bool, out: NDArray[np.uint8], start: int) -> int:
    """Copy options that stay; where the output goes on. The room was seen to: no more bytes than were read, and four."""
    to = start
    while at + 4 <= stop:
        code, length = _half(buf, at, big), _half(buf, at + 2, big)
        if code == 0 or at + 4 + length > stop:
            break
        width = _width(code, length)
        if width >= 0:
            padded = (length + 3) & ~3
            _put32(out, to, code | (length << 16))
            if width and big:
                for i in range(width):
                    out[to + 4 + i] = buf[at + 3 + width - i]
            else:
                _copy(buf, at + 4, length, out, to + 4)
            for i in range(length, padded):
                out[to + 4 + i] = 0
            to += 4 + padded
        at += 4 + ((length + 3) & ~3)
    if to > start:
        _put32(out, to, 0)
        to += 4
    return to


@kernel
def _block_end(buf: NDArray[np.uint8], f: Any, behind: int) -> int:
    """Where the options of a packet's own block end, or `behind` (where they would begin) if it has none; sign: big-endian."""
    rec = i64(f.rec)
    if rec < 0 or rec + 8 > len(buf):
        return behind
    kind, length = le32(buf, rec), le32(buf, rec + 4)
    big = kind > 0xFFFF
    if big:
        kind, length = be32(buf, rec), be32(buf, rec + 4)
    end = rec + length - 4
    if (kind != _ENHANCED and kind != _OLD) or end < behind + 4 or end > len(buf):
        return behind
    return -end if big else end


@exported(
    types.int64(
        _BUFFER,
        _FRAMES,
        types.int64,
        types.int64[::1],
        types.int64,
        types.int64,
        types.int64[:, ::1],
        types.boolean,
        types.uint8[::1],
        types.int64[::1],
    )
)
def copy_packets(
    buf: NDArray[np.uint8],
    frames: NDArray[Any],
    n: int,
    chosen: Numbers,
    first: int,
    count: int,
    targets: Numbers,
    pcapng: bool,
    out: NDArray[np.uint8],
    state: Numbers,
) -> int:
    """Write frames[chosen[first:count]] as blocks to the start of `out`; bytes written.

    n: rows of `frames` in use. targets: by frames.iface, see NUMBER and UNIT. pcapng: the frames are blocks of that format,
    with options. state[DONE]: the place in `chosen` behind the last one written; it stops early where `out` is full,
    and state[NEEDS] is then what the next packet needs. A frame outside the buffer or of an unknown interface is left out.
    """
    at = i64(0)
    size = i64(len(buf))
    state[NEEDS] = 0
    k = first
    while k < min(count, len(chosen)):
        i = chosen[k]
        k += 1
        if i < 0 or i >= min(n, len(frames)):
            continue
        f = frames[i]
        off, cap, iface = i64(f.off), i64(f.cap), i64(f.iface)
        if off < 0 or off > size or cap > size - off or iface >= len(targets) or targets[iface, UNIT] < 1:
            continue
        padded = (cap + 3) & ~3
        behind = off + padded
        stop = _block_end(buf, f, behind) if pcapng else behind
        big = stop < 0
        stop = abs(stop)
        need = _FRAME + padded + max(i64(0), stop - behind) + 4
        if len(out) - at < need:
            state[NEEDS] = need
            k -= 1
            break
        ticks = max(i64(0), i64(f.ts)) // targets[iface, UNIT]
        _put32(out, at, _ENHANCED)
        _put32(out, at + 8, targets[iface, NUMBER])
        _put32(out, at + 12, ticks >> 32)
        _put32(out, at + 16, ticks)
        _put32(out, at + 20, cap)
        _put32(out, at + 24, i64(f.wire))
        _copy(buf, off, cap, out, at + 28)
        for j in range(cap, padded):
            out[at + 28 + j] = 0
        to = at + 28 + padded
        if stop > behind:
            to = _put_options(buf, behind, stop, big, out, to)
        length = to + 4 - at
        _put32(out, at + 4, length)
        _put32(out, to, length)
        at = to + 4
    state[DONE] = k
    return at
