"""The memory of a flow table, and how kernels reach rows in it.

Regions have their full size from the start but cost memory only where they were touched: the operating
system hands out pages on first write, so the table grows without copying and without a stall.

Kernels get one STATE row with the address of every region. A row is reached by pointer arithmetic,
without array headers and reference counts in every call; with ``NUMBA_BOUNDSCHECK=1`` every access compares its
number with the region's length and raises IndexError.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from workbench.decode.bits import CHECKED, kernel
from workbench.flows.rows import REGIONS, STATE
from workbench.records.packet import PACKET

F = TypeVar("F", bound=Callable[..., Any])


def inlined(function: F) -> F:
    """A kernel that becomes part of its caller: for what every packet passes through, where a call costs as much as its work."""
    return njit(nogil=True, error_model="numpy", inline="always")(function)  # type: ignore[return-value]


#: Numba's types of the STATE row and of a chunk of packets, for explicit signatures.
STATE_TYPE: Final = numba.from_dtype(STATE)[::1]
PACKETS_TYPE: Final = numba.from_dtype(PACKET)[::1]

_HUGE: Final = 8 << 20


def lazy_rows(count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeroed rows that cost memory only once they are written to. MemoryError where the address space is full."""
    size = max(1, count * dtype.itemsize)
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0))
    except OSError as error:
        raise MemoryError(f"{size} bytes for the flow table") from error
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # large pages where the system has them: rows are reached at random
            memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=dtype, count=count)


class Memory:
    """Regions by name and the STATE row that tells kernels where they are."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.row: NDArray[Any] = np.zeros(1, STATE)
        self.regions: dict[str, NDArray[Any]] = {}
        for name, dtype in REGIONS.items():
            self.put(name, lazy_rows(sizes.get(name, 0), dtype))

    def put(self, name: str, rows: NDArray[Any]) -> None:
        """Make `rows` the region of that name. The old one must not be in use."""
        self.regions[name] = rows
        self.row[f"{name}_at"] = rows.ctypes.data
        self.row[f"{name}_rows"] = len(rows)

    def get(self, name: str) -> int:
        """A number of the STATE row."""
        return int(self.row[name][0])

    def set(self, name: str, value: int) -> None:
        """Set a number of the STATE row."""
        self.row[name] = value


def _pointer(record: Any) -> Any:
    """An intrinsic that takes an address for a row of this type."""

    def at(_context: Any, address: Any) -> Any:  # noqa: ARG001  its name is the argument's
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return record(types.int64), codegen

    at.__name__ = f"pointer_{len(record.fields)}"
    return intrinsic(at)


def _accessor(name: str) -> Callable[[Any, Any], Any]:
    """A kernel (state, i) -> row i of a region."""
    dtype = REGIONS[name]
    pointer = _pointer(numba.from_dtype(dtype))
    size = dtype.itemsize
    source = f"def {name}_row(state, i):\n"
    if CHECKED:
        source += f"    if i < 0 or i >= state.{name}_rows:\n        raise IndexError('{name}')\n"
    source += f"    return pointer(state.{name}_at + np.int64(i) * {size})\n"
    scope: dict[str, Any] = {"pointer": pointer, "np": np}
    exec(source, scope)  # noqa: S102  our own text: field names must be literals for numba
    made: Callable[[Any, Any], Any] = kernel(scope[f"{name}_row"])
    return made


hot_at = _accessor("hot")
end_at = _accessor("ends")
cold_at = _accessor("cold")
entry_at = _accessor("index")
free_at = _accessor("free")
ended_at = _accessor("ended")
outer_at = _accessor("outer")
slice_at = _accessor("slices")
holes_at = _accessor("holes")
letters_at = _accessor("letters")
fragment_at = _accessor("fragments")
tunnel_at = _accessor("tunnels")
slice_row_at = _accessor("slice_rows")
block_row_at = _accessor("block_rows")
arp_row_at = _accessor("arp_rows")
server_at = _accessor("servers")
stream_at = _accessor("streams")
held_at = _accessor("held")
signature_at = _accessor("signatures")
framing_at = _accessor("framings")
buffer_at = _accessor("buffers")
message_at = _accessor("messages")


def _prefetch(_context: Any, address: Any) -> Any:  # noqa: ARG001  its name is the argument's
    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        name = "llvm.prefetch.p0i8"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [builder.inttoptr(args[0], byte), number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


#: Ask for the cache line at an address; a wrong one does no harm.
prefetch: Callable[[Any], None] = intrinsic(_prefetch)  # type: ignore[assignment]
