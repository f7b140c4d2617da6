"""RoCEv2 (IBTA 1.4, annex A17): RDMA over UDP, counted by queue pair. One row per flow, direction and queue pair when it ends.

Of each datagram only the headers are looked at. Bytes of reads and writes are those that their requests name (RETH).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Protocol, Read, Signature

if TYPE_CHECKING:
    import pyarrow as pa

#: Queue pairs that are counted at a time (7 MB); where there are more, all become rows and counting begins anew.
_MOST_QUEUES: Final = 65_536
_TRANSPORTS: Final = ("rc", "uc", "rd", "ud", "cnp", "xrc")
_OPERATIONS: Final = (
    "send_first", "send_middle", "send_last", "send_last_immediate", "send_only", "send_only_immediate",
    "write_first", "write_middle", "write_last", "write_last_immediate", "write_only", "write_only_immediate",
    "read_request", "read_response_first", "read_response_middle", "read_response_last", "read_response_only",
    "ack", "atomic_ack", "compare_swap", "fetch_add", "resync", "send_last_invalidate", "send_only_invalidate",
)  # fmt: skip
#: Kinds of negative acknowledgement by the code in AETH (table 45); 32 stands for a receiver that is not ready.
_NAKS: Final = {
    0: "psn_sequence_error",
    1: "invalid_request",
    2: "remote_access_error",
    3: "remote_operational_error",
    4: "invalid_rd_request",
    32: "receiver_not_ready",
}


class RdmaReader:
    """Counts the queue pairs of all flows of a source."""

    def __init__(self, _context: Context) -> None:
        from workbench.decode.application import rdma_kernels

        self._kernels = rdma_kernels
        self._pool: NDArray[Any] = np.zeros(_MOST_QUEUES, rdma_kernels.QUEUE)
        self._table = np.zeros(2 * _MOST_QUEUES, np.int32)
        self._state = np.zeros(2, np.int64)  # queue pairs, malformed datagrams

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """See `protocol.BatchReader`."""
        rows = np.ascontiguousarray(rows)
        seen = np.zeros(len(rows), np.uint8)
        done: list[NDArray[Any]] = []
        self._state[1] = 0
        at = 0
        while at < len(rows):
            at = self._kernels.walk(rows, arena, self._pool, self._table, self._state, seen, at)
            if at < len(rows):
                done.append(self._pool[: self._state[0]].copy())
                self._hold(self._pool[:0])
        held = self._pool[: self._state[0]]
        over = np.isin(held["n"], ended) if len(held) and len(ended) else np.zeros(len(held), np.bool_)
        if over.any():
            done.append(held[over])
            self._hold(held[~over])
        told = np.concatenate(done) if done else held[:0]
        return Read({"rdma": _table(told)} if len(told) else {}, seen, int(self._state[1]))

    def _hold(self, queues: NDArray[Any]) -> None:
        """Go on with these alone."""
        self._pool[: len(queues)] = queues
        self._state[0] = len(queues)
        self._table[:] = 0
        self._kernels.index(self._pool, len(queues), self._table)


def _table(queues: NDArray[Any]) -> dict[str, pa.Array | NDArray[Any]]:
    """Columns of `rdma`."""
    import pyarrow as pa

    def opcodes(transport: int, operations: int) -> str:
        if _TRANSPORTS[transport] == "cnp":
            return "cnp"
        return ",".join(name for bit, name in enumerate(_OPERATIONS) if operations >> bit & 1)

    columns: dict[str, pa.Array | NDArray[Any]] = {"n": queues["n"].copy(), "ts": queues["first"] // 1000}
    columns["side"] = pa.array(queues["side"].astype(np.int32))
    columns["dst_qp"] = pa.array(queues["qp"])
    columns["transport"] = pa.array([_TRANSPORTS[kind] for kind in queues["transport"].tolist()])
    told = zip(queues["transport"].tolist(), queues["operations"].tolist(), strict=True)
    columns["opcodes"] = pa.array([opcodes(*one) for one in told])
    columns |= {name: pa.array(queues[name]) for name in ("packets", "read_bytes", "write_bytes", "send_bytes", "acks", "naks")}
    columns |= {name: pa.array(queues[name]) for name in ("psn_first", "psn_last")}
    naks = [_NAKS.get(kind, f"nak_{kind}") if kind >= 0 else None for kind in queues["nak"].tolist()]
    columns["nak"] = pa.array(naks, pa.string())
    columns["partition"] = pa.array([f"0x{key:04x}" for key in queues["partition"].tolist()])
    columns["ts_last"] = pa.array(queues["last"] // 1000, pa.timestamp("us"))
    return columns


def _reader(context: Context) -> BatchReader:
    return RdmaReader(context)


PROTOCOL = Protocol(
    name="rdma",
    title="RDMA over converged Ethernet 2",
    framing=Framing(Cut.DATAGRAM, keep=64),
    # Transport version 0, reserved bits 0: little of a BTH is fixed, so the port must agree.
    signatures=(Signature("udp", b"\0\0\0\0", at=1, mask=b"\x0f\0\0\x3f", least=16, ports=(4791,)),),
    tables=("rdma",),
    ports=(4791,),
    batch=_reader,
    reference="IBTA 1.4, annex A17",
)
