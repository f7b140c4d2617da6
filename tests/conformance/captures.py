"""The shared capture set, and what this program makes of a capture, in this process.

The set is found through WORKBENCH_CONFORMANCE (default: ../shared/captures beside the project); it is no
part of the project.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from workbench.errors import WorkbenchError
from workbench.records.packet import FRAME
from workbench.records.reasons import BY_NAME, LedgerLine
from workbench.settings import FlowSettings
from workbench.sources.blocks import Blocks
from workbench.sources.bytes import open_bytes

if TYPE_CHECKING:
    from workbench.workflows.selection import Selection

ROOT = Path(__file__).parents[2]


def folder() -> Path:
    """Where the set is said to be; it need not exist."""
    named = os.environ.get("WORKBENCH_CONFORMANCE")
    return Path(named) if named else ROOT.parent / "shared" / "captures"


def required() -> bool:
    """Whether a missing set is a failure: where it was said where it is. A machine that has none says so by skipping."""
    return os.environ.get("WORKBENCH_REQUIRE_ALL") == "1" and bool(os.environ.get("WORKBENCH_CONFORMANCE"))


@cache
def manifest() -> dict[str, dict[str, str]]:
    """MANIFEST.tsv by file; empty where there is no set."""
    file = folder() / "MANIFEST.tsv"
    if not file.exists():
        return {}
    with file.open(newline="") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


@cache
def captures() -> tuple[str, ...]:
    """Every file of the set that begins like a pcap or pcapng, or is listed as one, by name."""
    if not folder().exists():
        return ()
    found = []
    for path in sorted(folder().rglob("*")):
        name = str(path.relative_to(folder()))
        if path.is_file() and (path.suffix in (".pcap", ".pcapng", ".cap", ".ntar") or _begins_like_one(path)):
            found.append(name)
    return tuple(found)


def _begins_like_one(path: Path) -> bool:
    from workbench.sources.peek import peek

    try:
        found = peek(str(path))
        return found is not None and found.kind.startswith("pcap")  # not messages of flow telemetry
    except WorkbenchError:
        return False


@dataclass(slots=True)
class Reading:
    """What came of one capture. wire: sum of the lengths on the wire. error: what stopped it."""

    packets: int = 0
    wire: int = 0
    in_flows: int = 0
    arp: int = 0
    ledger: list[LedgerLine] = field(default_factory=list)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    links: tuple[int, ...] = ()
    error: WorkbenchError | None = None

    @property
    def undecoded(self) -> int:
        """Packets of the ledger's undecoded lines."""
        return sum(line.count for line in self.ledger if BY_NAME[line.reason].kind == "undecoded")

    def rows(self, table: str = "flows") -> list[dict[str, Any]]:
        """A table's rows as dictionaries."""
        return self.tables[table].to_pylist() if table in self.tables else []


def read(
    name: str | Path, settings: FlowSettings | None = None, block: int = 4 << 20, selection: Selection | None = None
) -> Reading:
    """Read one capture to its end as the worker does, block by block; errors of the input are in the result."""
    from workbench.workflows.pipeline import Pipeline

    reading = Reading()
    pipeline = Pipeline(1, "conformance", settings or FlowSettings(), selection)
    parts: dict[str, list[pa.RecordBatch]] = {}
    path = Path(name) if Path(name).is_absolute() else folder() / name
    try:
        reader = open_bytes(str(path))
        blocks = Blocks(reader, sha256=False, block=block)
        pipeline.start_file(0)
        try:
            for piece in blocks:
                pipeline.feed(piece)
                _keep(parts, pipeline.table.drain())
            pipeline.end_file()
        finally:
            blocks.close()
            reader.close()
    except WorkbenchError as error:
        reading.error = error
    _keep(parts, pipeline.table.finish())
    reading.tables = {table: pa.Table.from_batches(batches) for table, batches in parts.items() if batches}
    reading.packets = pipeline.packets
    reading.in_flows, reading.arp = pipeline.table.packets, pipeline.table.arp_packets
    reading.ledger = [*(pipeline.framer.ledger() if pipeline.framer else []), *pipeline.ledger()]
    reading.links = tuple(i.link_type for i in pipeline.framer.interfaces) if pipeline.framer else ()
    reading.wire = wire_bytes(path) if reading.error is None else 0
    return reading


def _keep(parts: dict[str, list[pa.RecordBatch]], batches: dict[str, pa.RecordBatch]) -> None:
    for table, batch in batches.items():
        if batch.num_rows:
            parts.setdefault(table, []).append(batch)


def wire_bytes(path: Path) -> int:
    """Sum of the lengths on the wire, by framing alone, with the whole file in one buffer."""
    from workbench.decode.framing import open_framer

    reader = open_bytes(str(path))
    data = bytearray()
    buffer = memoryview(bytearray(1 << 20))
    try:
        while n := reader.readinto(buffer):
            data += buffer[:n]
    except WorkbenchError:
        pass
    finally:
        reader.close()
    whole = np.frombuffer(data, np.uint8).copy()
    framer = open_framer(bytes(data[:4096]))
    frames = np.empty(4096, FRAME)
    at = total = 0
    while True:
        n, new = framer.frame(whole, at, len(whole), True, frames)
        total += int(frames["wire"][:n].sum(dtype=np.int64))
        if n == 0 and new == at:
            return total
        at = new
