"""Fuzzing of live captures, bytes of a pipe to rows and evidence: ``python -m tests.fuzz.fuzz_live [COUNT] [SEED]``; the rest
as in `fuzz_decode`.

A damaged capture comes in pieces of any size while the clock ticks as it likes. Nothing is raised but a refusal in words; every
packet is counted; evidence is a capture that reads whole, holds every packet at its length, and none of what was said.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.decode import wire as W  # noqa: N812
from tests.fuzz.fuzz_decode import guided, in_link, mutate, run, seeds, stream
from workbench.decode.packets import decode_frames
from workbench.errors import BadInputError
from workbench.records.packet import FLOW, PACKET
from workbench.settings import FlowSettings
from workbench.sources.blocks import Block
from workbench.workflows.evidence import Evidence, EvidenceFile, EvidencePlan
from workbench.workflows.live_pipeline import LivePipeline

_HEAD = 4096


def captured(r: random.Random) -> bytes:
    """A capture file: honest but for its packets, or damaged anywhere."""
    if r.random() < 0.5:
        return stream(r)
    at, packets = 1_700_000_000_000_000_000, []
    for _ in range(r.randrange(1, 12)):
        at = max(0, at + r.choice((0, 1000, 10**9, 70 * 10**9, 86_400 * 10**9, -86_400 * 10**9)))
        packets.append((at, mutate(r, in_link(r, seeds(r))[1])))
    return W.pcap_file(packets, order=r.choice("<>"), magic=r.choice((0xA1B2C3D4, 0xA1B23C4D)))


def fed(r: random.Random, pipeline: LivePipeline, data: bytes) -> None:
    """The bytes in pieces, and time in between. What cannot be read is refused in words."""
    pipeline.start_file(0)
    at = 0
    try:
        while at < len(data):
            step = r.choice((64, 100, 1000, len(data)))
            piece = data[at : at + step]
            buffer = np.zeros(_HEAD + len(piece), np.uint8)
            buffer[_HEAD:] = np.frombuffer(piece, np.uint8)
            pipeline.feed(Block(buffer, _HEAD, len(buffer), at, 1))
            at += len(piece)
            now = pipeline.table.ts_previous
            if now is not None and r.random() < 0.5:
                pipeline.table.tick(min(max(0, now + r.choice((-(10**9), 0, 61 * 10**9, 10**15))), 1 << 62))
            if r.random() < 0.2:
                pipeline.table.open_rows()
        pipeline.end_file()
    except BadInputError as refused:
        assert refused.message  # noqa: PT017  in words


def check(r: random.Random, data: bytes, folder: str) -> None:
    """One capture through the pipeline of a live source."""
    told: list[EvidenceFile] = []
    evidence = Evidence(EvidencePlan(folder, file_bytes=r.choice((1, 400, 1 << 20))), 1, told.append)
    pipeline = LivePipeline(1, "s", FlowSettings(application=r.random() < 0.5), None, b"", evidence)
    fed(r, pipeline, data)
    evidence.end()
    assert evidence.failed is None
    rows = pipeline.table.finish().get("flows")
    flowing = sum(row["src_pkts"] + row["dst_pkts"] for row in rows.to_pylist()) if rows is not None else 0
    pipeline.places()
    counted = 0
    files = sorted((f for f in told if f.done), key=lambda f: f.n)
    for file in files:
        kept = Path(file.path).read_bytes()
        assert len(kept) == file.bytes
        counted += blank(kept)
        Path(file.path).unlink()
    assert counted == pipeline.packets, data.hex()
    assert flowing <= counted
    assert evidence.offset == sum(f.bytes for f in files)


def blank(kept: bytes) -> int:
    """Read a file of evidence again: how many packets it holds, none of which says anything."""
    _, frames, packets = W.read(kept)
    decoded = np.zeros(len(frames), PACKET)
    decode_frames(np.frombuffer(kept, np.uint8), frames, len(frames), decoded, 0)
    for row in decoded[decoded["status"] == FLOW]:
        assert not any(kept[int(row["pay"]) : int(row["pay"]) + int(row["pay_cap"])]), kept.hex()
    return len(packets)


def one(seed: int) -> None:
    """One round; the seed tells it again."""
    r = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        check(r, captured(r), folder)


def main(count: int, first: int) -> None:
    """Rounds first .. first+count-1."""
    run(one, [str(count), str(first)], count)


if __name__ == "__main__":
    if "--atheris" in sys.argv:
        guided([a for a in sys.argv[1:] if a != "--atheris"], one)
    else:
        run(one, sys.argv[1:], 5_000)
