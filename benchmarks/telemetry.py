"""IPFIX to rows on one core: a generated file of messages, decoded and paired in this process, by CPU time.

Run as a program it measures one file and prints a JSON object. No peer stands beside it: nfdump's collectors take datagrams from
a socket or, where built so, captures; none of Debian's reads a file of messages.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import time
from pathlib import Path
from typing import IO

BUDGET = 500_000
_FIELDS = (
    *((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 2), (5, 1), (1, 8), (2, 8), (152, 8), (153, 8), (10, 4), (14, 4)),
    *((136, 1), (58, 2), (61, 1), (9, 1), (13, 1)),
)
_RECORD = struct.Struct(">IIHHBHBQQQQIIBHBBB")
_A_MESSAGE = 20
_START = 1_700_000_000


def generate(out: IO[bytes], records: int, seed: int = 1) -> None:
    """Messages of 20 records of 62 bytes: conversations in both directions, 10,000 records a second of the exporter's clock."""
    rng = random.Random(seed)
    fields = b"".join(struct.pack(">HH", *field) for field in _FIELDS)
    template = struct.pack(">HHHH", 2, 8 + len(fields), 256, len(_FIELDS)) + fields
    for n in range(records // _A_MESSAGE):
        now = _START * 1000 + n * 2
        body = template if n % 500 == 0 else b""
        data = b"".join(_conversation(rng, now) for _ in range(_A_MESSAGE // 2))
        body += struct.pack(">HH", 256, 4 + len(data)) + data
        out.write(struct.pack(">HHIII", 10, 16 + len(body), now // 1000, n * _A_MESSAGE, 1) + body)


def _conversation(rng: random.Random, now: int) -> bytes:
    client, server = 0x0A000000 | rng.getrandbits(16), 0x0A010000 | rng.getrandbits(12)
    port, size, packets = rng.randrange(1024, 65536), rng.randrange(40, 9000), rng.randrange(1, 40)
    tail = (1, 2, 3, 0, 0, 24, 24)
    there = _RECORD.pack(client, server, port, 443, 6, 27, 0, size, packets, now, now + 40, *tail)
    return there + _RECORD.pack(server, client, 443, port, 6, 27, 0, size * 9, packets, now + 1, now + 40, *tail)


def measure(path: Path) -> dict[str, float]:
    """Records, rows and CPU seconds of one pass over the file, kernels loaded before."""
    from workbench.settings import FlowSettings
    from workbench.sources.blocks import Blocks
    from workbench.sources.bytes import open_bytes
    from workbench.workflows.telemetry import TelemetryPipeline

    pipeline = TelemetryPipeline("bench", FlowSettings(), 60.0, "ipfix")
    reader = open_bytes(str(path))
    began = time.process_time()
    pipeline.start_file(0)
    rows = 0
    for block in Blocks(reader, sha256=False):
        pipeline.feed(block)
        rows += sum(tables["flows"].num_rows for _, tables in pipeline.drain())
    pipeline.end_file()
    rows += sum(tables["flows"].num_rows for _, tables in pipeline.finish())
    seconds = time.process_time() - began
    return {"records": pipeline.feeds[0].exporter.records, "rows": rows, "seconds": seconds}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))))
