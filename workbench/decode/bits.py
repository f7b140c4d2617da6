"""Reading numbers from a byte buffer inside kernels, whatever their alignment and byte order.

A load is one machine instruction and is not checked: whoever calls has compared the offset with the end
of the captured bytes. With ``NUMBA_BOUNDSCHECK=1`` every load goes byte by byte through checked indexing
instead, so that the tests see an overrun as an IndexError rather than as somebody else's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

#: An int64 array inside kernels, where its elements are plain numbers; signatures of exported kernels say the type.
Numbers: TypeAlias = Any

if TYPE_CHECKING:

    def i64(value: Any) -> int:
        """A number as int64. Kernels must say so: numba makes a float of int64 with uint64."""

    def u64(value: Any) -> int:
        """A number as uint64."""

else:
    i64 = np.int64
    u64 = np.uint64

#: Whether loads are checked; numba reads the same environment variable when it compiles.
CHECKED: Final = bool(config.BOUNDSCHECK)  # type: ignore[attr-defined]


def kernel(function: F) -> F:
    """A function that other kernels call: compiled into them, with nothing stored of its own.

    One version per type, not one per constant it is called with, which would triple the time to compile.
    """
    compiled: Any = njit(nogil=True, error_model="numpy")(function)
    template: Any = compiled.get_call_template
    unliteral: Any = types.unliteral

    def by_type(args: Any, kws: Any) -> Any:
        return template(tuple(unliteral(a) for a in args), {k: unliteral(v) for k, v in kws.items()})

    compiled.get_call_template = by_type
    return compiled  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """A kernel that becomes part of its caller: where arrays are passed for every packet, whose counting costs most."""
    return njit(nogil=True, error_model="numpy", inline="always")(function)  # type: ignore[return-value]


def exported(signature: Any) -> Callable[[F], F]:
    """A kernel that Python calls: compiled for this one signature at import, kept in numba's cache.

    numba takes a cached kernel for fresh as long as the file it stands in has not changed, although what it
    calls is compiled into it. So the stamp covers every module that it can call.
    """

    def wrap(function: F) -> F:
        compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
        compiled._cache._cache_file._source_stamp = stamp(Path(function.__code__.co_filename))
        compiled.compile(signature)
        compiled.disable_compile()
        return compiled  # type: ignore[no-any-return]

    return wrap


def stamp(module: Path) -> str:
    """Names, sizes and change times of the modules on this kernel's floor, of this one, and of the rows' definitions.

    The flow table calls one module of another folder: the probes that recognise protocols.
    """
    here = Path(__file__)
    rows = here.parent.parent / "records"
    probes = here.parent / "application" / "probes.py"
    kept = (rows / f"{name}.py" for name in ("packet", "message", "reasons", "telemetry"))
    files = {*module.parent.glob("*.py"), here, probes, *kept}
    found = [(path, path.stat()) for path in sorted(files)]
    return "\n".join(f"{path.name} {stat.st_size} {stat.st_mtime_ns}" for path, stat in found)


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


_be16, _be32, _be64, _le32 = _load(16, True), _load(32, True), _load(64, True), _load(32, False)


def _hint() -> Any:
    """An intrinsic: llvm.prefetch for reading, to be kept in every cache; it cannot fault, wherever it points."""

    def hint(_context: Any, buf: Any, off: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            array = context.make_array(sig.args[0])(context, builder, args[0])
            place = builder.gep(builder.bitcast(array.data, byte), [args[1]])
            function = builder.module.declare_intrinsic("llvm.prefetch", (byte,), _HINT)
            builder.call(function, [place, number(0), number(3), number(1)])
            return context.get_dummy_value()

        return types.none(buf, off), codegen

    return intrinsic(hint)


_HINT: Final = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()] + [ir.IntType(32)] * 3)
_prefetch = _hint()


@kernel
def prefetch(buf: NDArray[np.uint8], o: int) -> None:
    """Ask for the cache line at o, which need not lie inside the buffer."""
    _prefetch(buf, i64(o))


#: How far ahead of the record at hand its followers are fetched: enough to hide a memory access.
_RUN_AHEAD: Final = 4096


@kernel
def fetch_ahead(buf: NDArray[np.uint8], fetched: int, at: int) -> int:
    """Ask for every cache line from `fetched` up to some distance behind `at`; returns how far that is.

    Records are a chain: where the next one starts stands in this one, so a walk over records that are not
    in the cache waits for memory at every step. All their bytes are read soon after in any case.
    """
    while fetched < at + _RUN_AHEAD:
        prefetch(buf, fetched)
        fetched += 64
    return fetched


if CHECKED:

    @kernel
    def be16(buf: NDArray[np.uint8], o: int) -> int:
        """Two bytes at o, most significant first."""
        return (i64(buf[o]) << 8) | i64(buf[o + 1])

    @kernel
    def be32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, most significant first."""
        return (be16(buf, o) << 16) | be16(buf, o + 2)

    @kernel
    def be64(buf: NDArray[np.uint8], o: int) -> int:
        """Eight bytes at o, most significant first, as uint64."""
        return (u64(be32(buf, o)) << u64(32)) | u64(be32(buf, o + 4))

    @kernel
    def le32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, least significant first."""
        return i64(buf[o]) | (i64(buf[o + 1]) << 8) | (i64(buf[o + 2]) << 16) | (i64(buf[o + 3]) << 24)


else:

    @kernel
    def be16(buf: NDArray[np.uint8], o: int) -> int:
        """Two bytes at o, most significant first."""
        value: int = _be16(buf, i64(o))
        return value

    @kernel
    def be32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, most significant first."""
        value: int = _be32(buf, i64(o))
        return value

    @kernel
    def be64(buf: NDArray[np.uint8], o: int) -> int:
        """Eight bytes at o, most significant first, as uint64."""
        value: int = _be64(buf, i64(o))
        return value

    @kernel
    def le32(buf: NDArray[np.uint8], o: int) -> int:
        """Four bytes at o, least significant first."""
        value: int = _le32(buf, i64(o))
        return value


@kernel
def mac48(buf: NDArray[np.uint8], o: int) -> int:
    """The six bytes at o as a number."""
    return (be32(buf, o) << 16) | be16(buf, o + 4)
