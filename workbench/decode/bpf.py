"""Classic BPF programs, run over frames: which of them a capture filter lets through.

The instruction set is that of McCanne and Jacobson (USENIX Winter 1993) as libpcap's own interpreter has it: two
registers and 16 words of memory, all unsigned of 32 bits; a load beyond the captured bytes, and a division by zero,
reject the frame. A program is checked when it is taken, since a kernel must never leave its arrays: every jump lands
inside, no instruction but a return stands last. Jumps go forward, but for those of `protochain`, which walks a chain
of headers: of them a frame gets a limited number, so that every program ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, exported, i64, kernel, u64
from workbench.decode.packets import BUFFER, FRAMES

#: Instructions of a program at most: what fits 16 bits is far beyond what libpcap makes of any filter that is taken.
LONGEST: Final = 65_535
#: Jumps back that one frame is given; a chain of headers in the longest packet has half as many links.
MOST_BACK: Final = 65_536
_NUMBERS: Final = types.int64[::1]
_LINKS: Final = 1 << 16
_WORDS: Final = 16
_ALL: Final = 0xFFFFFFFF

# What instructions become: numbers without holes, so that telling them apart is one jump through a table.
(
    _CLEAR, _LD_W, _LD_H, _LD_B, _IND_W, _IND_H, _IND_B, _LD_LEN, _LD_IMM, _LD_MEM, _LDX_IMM, _LDX_LEN, _LDX_MEM, _MSH, _ST, _STX,
    _ADD_K, _ADD_X, _SUB_K, _SUB_X, _MUL_K, _MUL_X, _DIV_K, _DIV_X, _MOD_K, _MOD_X, _AND_K, _AND_X, _OR_K, _OR_X, _XOR_K, _XOR_X,
    _LSH_K, _LSH_X, _RSH_K, _RSH_X, _NEG, _JA, _JEQ_K, _JEQ_X, _JGT_K, _JGT_X, _JGE_K, _JGE_X, _JSET_K, _JSET_X, _TAX, _TXA,
    _RET_K, _RET_A,
) = range(50)  # fmt: skip

#: Instruction codes (class | size | mode, class | operation | source) as struct bpf_insn has them.
_CODES: Final[dict[int, int]] = {
    0x20: _LD_W, 0x28: _LD_H, 0x30: _LD_B, 0x40: _IND_W, 0x48: _IND_H, 0x50: _IND_B, 0x80: _LD_LEN, 0x00: _LD_IMM, 0x60: _LD_MEM,
    0x01: _LDX_IMM, 0x81: _LDX_LEN, 0x61: _LDX_MEM, 0xB1: _MSH, 0x02: _ST, 0x03: _STX,
    0x04: _ADD_K, 0x0C: _ADD_X, 0x14: _SUB_K, 0x1C: _SUB_X, 0x24: _MUL_K, 0x2C: _MUL_X, 0x34: _DIV_K, 0x3C: _DIV_X,
    0x94: _MOD_K, 0x9C: _MOD_X, 0x54: _AND_K, 0x5C: _AND_X, 0x44: _OR_K, 0x4C: _OR_X, 0xA4: _XOR_K, 0xAC: _XOR_X,
    0x64: _LSH_K, 0x6C: _LSH_X, 0x74: _RSH_K, 0x7C: _RSH_X, 0x84: _NEG, 0x05: _JA, 0x15: _JEQ_K, 0x1D: _JEQ_X,
    0x25: _JGT_K, 0x2D: _JGT_X, 0x35: _JGE_K, 0x3D: _JGE_X, 0x45: _JSET_K, 0x4D: _JSET_X, 0x07: _TAX, 0x87: _TXA,
    0x06: _RET_K, 0x16: _RET_A,
}  # fmt: skip
_MEMORY: Final = frozenset((_LD_MEM, _LDX_MEM, _ST, _STX))
_BRANCHES: Final = frozenset((_JEQ_K, _JEQ_X, _JGT_K, _JGT_X, _JGE_K, _JGE_X, _JSET_K, _JSET_X))
_RETURNS: Final = frozenset((_RET_K, _RET_A))
_DIVISIONS: Final = frozenset((_DIV_K, _MOD_K))


def checked(program: Sequence[tuple[int, int, int, int]]) -> NDArray[np.int64]:
    """A program of (code, jt, jf, k) as the kernel runs it: rows of (operation, k, next if true, next if not).

    ValueError where it is empty or too long, has an unknown instruction, jumps outside, names memory that is not there,
    divides by a constant zero, or does not end with a return.
    """
    if not 0 < len(program) <= LONGEST:
        raise ValueError(f"a program of {len(program)} instructions")
    rows = np.zeros((len(program) + 1, 4), np.int64)
    rows[0] = _CLEAR, 0, 1, 1
    for i, (code, jt, jf, k) in enumerate(program):
        operation = _CODES.get(code)
        if operation is None or not 0 <= k <= _ALL or not (0 <= jt <= 255 and 0 <= jf <= 255):
            raise ValueError(f"instruction {i}: there is none with code {code}, {jt}, {jf}, {k}")
        if (operation in _MEMORY and k >= _WORDS) or (operation in _DIVISIONS and k == 0):
            raise ValueError(f"instruction {i}: code 0x{code:x} cannot have {k}")
        yes = no = i + 1
        if operation == _JA:
            yes = no = i + 1 + (k if k <= _ALL >> 1 else k - _ALL - 1)  # a signed number: protochain jumps back
        elif operation in _BRANCHES:
            yes, no = i + 1 + jt, i + 1 + jf
        if operation not in _RETURNS and not (0 <= yes < len(program) and 0 <= no < len(program)):
            raise ValueError(f"instruction {i}: the program goes on outside itself")
        rows[i + 1] = operation, k, yes + 1, no + 1
    if rows[-1, 0] not in _RETURNS:
        raise ValueError("the program does not end with a return")
    return rows


@kernel
def _loaded(buf: NDArray[np.uint8], off: int, cap: int, at: int, size: int) -> int:
    """The `size` bytes at offset `at` of the frame as a number; -1 where they were not captured."""
    if at + size > cap:
        return -1
    if size == 4:
        return be32(buf, off + at)
    if size == 2:
        return be16(buf, off + at)
    return i64(buf[off + at])


@kernel
def _calculated(operation: int, a: int, b: int) -> int:
    """a, changed by b as an arithmetic instruction with a constant says; both below 2**32. -1: a division by zero."""
    if operation == _ADD_K:
        return (a + b) & _ALL
    if operation == _SUB_K:
        return (a - b) & _ALL
    if operation == _MUL_K:
        product: int = i64((u64(a) * u64(b)) & u64(_ALL))
        return product
    if operation == _AND_K:
        return a & b
    if operation == _OR_K:
        return a | b
    if operation == _XOR_K:
        return a ^ b
    if operation == _LSH_K:
        return (a << b) & _ALL if b < 32 else i64(0)
    if operation == _RSH_K:
        return a >> b if b < 32 else i64(0)
    if b == 0:
        return i64(-1)
    return a // b if operation == _DIV_K else a % b


@kernel
def _holds(operation: int, a: int, b: int) -> bool:
    """Whether a jump with a constant is taken."""
    if operation == _JEQ_K:
        return a == b
    if operation == _JGT_K:
        return a > b
    if operation == _JGE_K:
        return a >= b
    return (a & b) != 0


@kernel
def _run(buf: NDArray[np.uint8], off: int, cap: int, wire: int, code: Numbers, at: int, memory: Numbers) -> int:  # noqa: C901
    """What the program from row `at` on returns for buf[off : off + cap]: 0 rejects the frame."""
    a = x = back = i64(0)
    while 0 <= at < len(code):
        operation, k = code[at, 0], code[at, 1]
        follow = code[at, 2]
        if operation >= _JEQ_K and operation <= _JSET_X:
            odd = (operation - _JEQ_K) & 1
            if not _holds(operation - odd, a, x if odd else k):
                follow = code[at, 3]
        elif operation <= _IND_B and operation != _CLEAR:
            place = k
            if operation >= _IND_W:
                place += x
                operation -= _IND_W - _LD_W
            a = _loaded(buf, off, cap, place, 4 >> (operation - _LD_W))
            if a < 0:
                return 0
        elif operation >= _ADD_K and operation <= _RSH_X:
            odd = (operation - _ADD_K) & 1
            a = _calculated(operation - odd, a, x if odd else k)
            if a < 0:
                return 0
        elif operation == _RET_K:
            return i64(k)
        elif operation == _RET_A:
            return a
        elif operation == _MSH:
            if k >= cap:
                return 0
            x = (i64(buf[off + k]) & 15) << 2
        elif operation == _JA:
            if follow <= at:
                back += 1
                if back > MOST_BACK:
                    return 0
        elif operation == _TAX:
            x = a
        elif operation == _TXA:
            a = x
        elif operation == _LD_LEN:
            a = wire
        elif operation == _LDX_LEN:
            x = wire
        elif operation == _LD_IMM:
            a = k
        elif operation == _LDX_IMM:
            x = k
        elif operation == _NEG:
            a = (-a) & _ALL
        elif operation == _CLEAR:
            memory[:] = 0
        elif operation == _LD_MEM:
            a = memory[k & 15]
        elif operation == _LDX_MEM:
            x = memory[k & 15]
        elif operation == _ST:
            memory[k & 15] = a
        elif operation == _STX:
            memory[k & 15] = x
        at = follow
    return 0


@exported(types.int64(BUFFER, FRAMES, types.int64, types.int64[:, ::1], types.int32[::1], _NUMBERS, _NUMBERS, types.boolean))
def _select(
    buf: NDArray[np.uint8],
    frames: NDArray[Any],
    n: int,
    code: Numbers,
    starts: Numbers,
    memory: Numbers,
    chosen: Numbers,
    move: bool,
) -> int:
    """How many of frames[:n] pass, their places in `chosen`; -1 - i where frame i lies outside the buffer.

    move: they are moved to the front of `frames`.
    """
    size = i64(len(buf))
    kept = i64(0)
    for i in range(n):
        f = frames[i]
        off, cap, link = i64(f.off), i64(f.cap), i64(f.link)
        if off < 0 or off > size or cap > size - off:
            return -1 - i
        start = i64(starts[link]) if link < len(starts) else i64(-1)
        if start >= 0 and _run(buf, off, cap, i64(f.wire), code, start, memory) != 0:
            chosen[kept] = i
            if move and kept < i:
                frames[kept] = f
            kept += 1
    return kept


class Selector:
    """Which frames pass a filter: one program a link type; a frame of a link type without one does not pass.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._code = np.zeros((0, 4), np.int64)
        self._starts = np.full(_LINKS, -1, np.int32)
        self._memory = np.zeros(_WORDS, np.int64)
        self._chosen = np.zeros(0, np.int64)

    def add(self, link_type: int, program: Sequence[tuple[int, int, int, int]]) -> None:
        """Run this program, a list of (code, jt, jf, k), for frames of the link type.

        ValueError where `checked` refuses it, or there is no such link type.
        """
        if not 0 <= link_type < _LINKS:
            raise ValueError(f"link type {link_type}")
        rows = checked(program)
        start = len(self._code)
        rows[:, 2:] += start
        self._code = np.concatenate((self._code, rows))
        self._starts[link_type] = start if any(row[0] in _MEMORY for row in rows.tolist()) else start + 1

    def chosen(self, buf: NDArray[np.uint8], frames: NDArray[Any], n: int, *, move: bool = False) -> NDArray[np.int64]:
        """Places, in order, of those of frames[:n] (FRAME rows that lie in `buf`) that pass; good until the next call.

        move: their rows are moved to the front of `frames`, over those that do not pass.
        ValueError where `n` is more than there are, or a frame lies outside the buffer.
        """
        if not 0 <= n <= len(frames):
            raise ValueError(f"{n} frames asked for, {len(frames)} given")
        if len(self._chosen) < n:
            self._chosen = np.zeros(n, np.int64)
        kept = int(_select(buf, frames, n, self._code, self._starts, self._memory, self._chosen, move))
        if kept < 0:
            raise ValueError("a frame lies outside its buffer")
        return self._chosen[:kept]

    def keep(self, buf: NDArray[np.uint8], frames: NDArray[Any], n: int) -> NDArray[np.bool_]:
        """The same as a mask of n."""
        mask = np.zeros(n, np.bool_)
        mask[self.chosen(buf, frames, n)] = True
        return mask
