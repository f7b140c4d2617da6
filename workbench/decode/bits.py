"""Reading numbers from a byte buffer inside kernels, whatever their alignment and byte order.

A load is one machine instruction and is not checked: whoever calls has compared the offset with the end
of the captured bytes. With ``NUMBA_BOUNDSCHECK=1`` every load goes byte by byte through checked indexing
instead, so that the tests see an overrun as an IndexError rather than as somebody else's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

#: Whether loads are checked; numba reads the same environment variable when it compiles.
CHECKED: Final = bool(config.BOUNDSCHECK)


def kernel(function: F) -> F:
    """A function that other kernels call: compiled into them, with nothing stored of its own."""
    compiled: F = njit(nogil=True, error_model="numpy")(function)
    return compiled


def exported(signature: Any) -> Callable[[F], F]:
    """A kernel that Python calls: compiled for this one signature at import, kept in numba's cache."""

    def wrap(function: F) -> F:
        compiled: F = njit(signature, cache=True, nogil=True, error_model="numpy")(function)
        return compiled

    return wrap


def _load(bits: int, big: bool) -> Any:
    """An intrinsic: the unsigned integer of that width at a byte offset; int64, uint64 for 64 bits."""

    def load(_context: Any, buf: Any, off: Any) -> Any:
        signature = (types.uint64 if bits == 64 else types.int64)(buf, off)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            array = context.make_array(sig.args[0])(context, builder, args[0])
            base = builder.bitcast(array.data, ir.IntType(8).as_pointer())
            place = builder.bitcast(builder.gep(base, [args[1]]), ir.IntType(bits).as_pointer())
            value = builder.load(place, align=1)
            if big:
                value = builder.bswap(value)
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return signature, codegen

    return intrinsic(load)


_be16, _be32, _be64, _le32, _le64 = _load(16, True), _load(32, True), _load(64, True), _load(32, False), _load(64, False)

if CHECKED:

    @kernel
    def be16(buf: NDArray[np.uint8], o: int) -> int:
        """Two bytes at o, most significant first."""
        return (np.int64(buf[o]) << 8) | np.int64(buf[o + 1])  # type: ignore[return-value]

    @kernel
    def be32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, most significant first."""
        return (be16(buf, o) << 16) | be16(buf, o + 2)

    @kernel
    def be64(buf: NDArray[np.uint8], o: int) -> int:
        """Eight bytes at o, most significant first, as uint64."""
        return (np.uint64(be32(buf, o)) << np.uint64(32)) | np.uint64(be32(buf, o + 4))  # type: ignore[return-value]

    @kernel
    def le32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, least significant first."""
        return np.int64(buf[o]) | (np.int64(buf[o + 1]) << 8) | (np.int64(buf[o + 2]) << 16) | (np.int64(buf[o + 3]) << 24)  # type: ignore[return-value]

    @kernel
    def le64(buf: NDArray[np.uint8], o: int) -> int:
        """Eight bytes at o, least significant first, as uint64."""
        return np.uint64(le32(buf, o)) | (np.uint64(le32(buf, o + 4)) << np.uint64(32))  # type: ignore[return-value]

else:

    @kernel
    def be16(buf: NDArray[np.uint8], o: int) -> int:
        """Two bytes at o, most significant first."""
        return _be16(buf, np.int64(o))  # type: ignore[no-any-return]

    @kernel
    def be32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, most significant first."""
        return _be32(buf, np.int64(o))  # type: ignore[no-any-return]

    @kernel
    def be64(buf: NDArray[np.uint8], o: int) -> int:
        """Eight bytes at o, most significant first, as uint64."""
        return _be64(buf, np.int64(o))  # type: ignore[no-any-return]

    @kernel
    def le32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, least significant first."""
        return _le32(buf, np.int64(o))  # type: ignore[no-any-return]

    @kernel
    def le64(buf: NDArray[np.uint8], o: int) -> int:
        """Eight bytes at o, least significant first, as uint64."""
        return _le64(buf, np.int64(o))  # type: ignore[no-any-return]


@kernel
def mac48(buf: NDArray[np.uint8], o: int) -> int:
    """The six bytes at o as a number."""
    return (be32(buf, o) << 16) | be16(buf, o + 4)
