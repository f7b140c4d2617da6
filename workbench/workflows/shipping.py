"""Column batches from a worker to the parent without a copy on the way.

The worker writes Arrow IPC streams into an anonymous memory file and passes its descriptor; the parent
maps it. Nothing has a name in any file system, so nothing is left behind by a kill -9 on either side.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Shipment:
    """Announces a descriptor that follows: table -> (offset, length) of its IPC stream in the file.

    snapshot: rows of flows still open, which replace the last snapshot. packets and flows are the totals
    up to this shipment.
    """

    tables: dict[str, tuple[int, int]]
    snapshot: bool
    packets: int
    flows: int


def _anonymous_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:  # systems without memfd: an unlinked file
        return os.dup(file.fileno())


def send(conn: Connection[Any, Any], batches: dict[str, pa.RecordBatch], head: Shipment) -> None:
    """Send batches by table; empty ones are left out. BrokenPipeError when the parent is gone."""
    fd = _anonymous_file("workbench-batch")
    try:
        with os.fdopen(os.dup(fd), "wb", buffering=0) as file:
            sink = pa.PythonFile(file, mode="w")
            at = 0
            for table, batch in batches.items():
                if not batch.num_rows:
                    continue
                with pa.ipc.new_stream(sink, batch.schema) as stream:
                    stream.write_batch(batch)
                end = sink.tell()
                head.tables[table] = (at, end - at)
                at = end
        conn.send(head)
        reduction.send_handle(conn, fd, 0)
    finally:
        os.close(fd)


def receive(conn: Connection[Any, Any], head: Shipment) -> dict[str, pa.RecordBatch]:
    """The batches that `head` announced, mapped, not copied; they live as long as they are referenced."""
    fd = reduction.recv_handle(conn)
    try:
        size = os.fstat(fd).st_size
        if size == 0:
            return {}
        whole = pa.py_buffer(mmap.mmap(fd, size, prot=mmap.PROT_READ))
    finally:
        os.close(fd)
    out: dict[str, pa.RecordBatch] = {}
    for table, (at, length) in head.tables.items():
        with pa.ipc.open_stream(whole.slice(at, length)) as stream:
            out[table] = stream.read_next_batch()
    return out
