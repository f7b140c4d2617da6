"""Fuzzing of telemetry, messages to rows: ``python -m tests.fuzz.fuzz_telemetry [COUNT] [SEED]``; the rest as in `fuzz_decode`.

Messages of real exporters (the sample captures') and of our own encoders, damaged, in any order, of several exporters, go through
what a collector does with datagrams. Whatever they say, nothing is raised, what is kept of exporters stays within its bounds, and
the rows add up.
"""

from __future__ import annotations

import random
import struct
import sys
from functools import cache
from pathlib import Path

import numpy as np

from tests.decode import wire as W  # noqa: N812
from tests.decode.telemetry.messages import BASIC, SENT, a_set, basic, ipfix, netflow5, netflow5_record, netflow9, template
from tests.fuzz.fuzz_decode import guided, mutate, run
from workbench.decode.packets import decode_frames
from workbench.decode.telemetry.exporters import Room
from workbench.records.packet import FLOW, PACKET
from workbench.settings import FlowSettings
from workbench.sources.allowed import Allowed
from workbench.sources.datagrams import Datagram
from workbench.workflows.live_telemetry import LiveTelemetry

SAMPLES = Path(__file__).parents[2] / "sample_captures"
_MESSAGES = 60
_WORDS = (0, 1, 2, 3, 4, 5, 9, 10, 255, 256, 280, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)


@cache
def recorded() -> tuple[tuple[bytes, ...], ...]:
    """The datagrams of each sample, in order."""
    found = []
    for path in sorted(SAMPLES.glob("telemetry-*.pcapng")):
        data = path.read_bytes()
        _, frames, _ = W.read(data)
        rows = np.zeros(len(frames), PACKET)
        decode_frames(np.frombuffer(data, np.uint8), frames, len(frames), rows, 0)
        udp = rows[(rows["status"] == FLOW) & (rows["proto"] == 17)]
        found.append(tuple(data[int(p["pay"]) : int(p["pay"]) + int(p["pay_cap"])] for p in udp[:200]))
    return tuple(found)


def made(r: random.Random) -> list[bytes]:
    """Messages of our own: templates of any elements and lengths, and data that may fit them."""
    records = basic("192.0.2.1", "198.51.100.2", r.randrange(4), 443) + basic("198.51.100.2", "192.0.2.1", 443, r.randrange(4))
    wild = [(r.choice((r.randrange(500), 8, 12, 27, 28, 152, 22)), r.choice((0, 1, 2, 4, 8, 16, 65535))) for _ in range(9)]
    sent = (SENT + r.choice((0, 1, 86_400, -86_400, 2**31))) & 0xFFFFFFFF
    number = r.choice((256, 257, 300))
    return [
        ipfix(
            template(256, BASIC), a_set(256, records), sequence=r.getrandbits(32), domain=r.randrange(3), sent=sent & 0xFFFFFFFF
        ),
        ipfix(template(number, wild), a_set(number, r.randbytes(r.randrange(200))), domain=r.randrange(3)),
        netflow9(template(number, wild, ipfix=False), a_set(number, r.randbytes(r.randrange(200))), source=r.randrange(3)),
        netflow5(netflow5_record("192.0.2.7", "192.0.2.8", 1, r.randrange(4)), count=r.choice((1, 1, 2, 31, 65535))),
    ]


def damaged(r: random.Random, message: bytes) -> bytes:
    """The message with lies in it: lengths and numbers, mostly, which stand in pairs of bytes."""
    body = bytearray(mutate(r, message) if r.random() < 0.3 else message)
    for _ in range(r.choice((0, 1, 1, 2, 5))):
        if len(body) >= 4:
            struct.pack_into(">H", body, 2 * r.randrange(len(body) // 2), r.choice(_WORDS))
    return bytes(body[: r.randrange(len(body) + 1)] if r.random() < 0.1 else body)


@cache
def _settings() -> FlowSettings:
    return FlowSettings(max_open_flows=1024)


def one(seed: int) -> None:
    """One round: a collector, some exporters, many messages; the seed tells it again."""
    r = random.Random(seed)
    feeds = LiveTelemetry(_settings(), 60.0, r.choice(("ipfix", "netflow", "sflow")), b"", Allowed(["192.0.2.0/30"]), ())
    full = dict(feeds._collector.room.left)
    messages: list[bytes] = []
    while len(messages) < _MESSAGES:
        sample = r.choice(recorded())
        start = r.randrange(len(sample))
        messages += [*sample[:3], *sample[start : start + 5]] if r.random() < 0.6 else made(r)
    rows = 0
    for _ in range(3):
        batch = [damaged(r, m) if r.random() < 0.5 else m for m in messages]
        ends = np.cumsum([len(m) for m in batch]).tolist()
        places = zip([0, *ends], ends, strict=False)
        data = np.frombuffer(b"".join(batch), np.uint8).copy()
        feeds.take(data, [Datagram(a, b, SENT * 10**9, f"192.0.2.{r.randrange(5)}", r.randrange(3)) for a, b in places])
        feeds.tick()
        rows += sum(tables["flows"].num_rows for _, tables in feeds.drain() if "flows" in tables)
        for shown in feeds.open_rows().values():
            assert shown is None or shown.column("end_reason").null_count == shown.num_rows
        feeds.states()
        assert all(0 <= left <= full[what] for what, left in feeds._collector.room.left.items())
    _over(feeds, rows)
    assert feeds._collector.room.left["held"] == full["held"] == Room().left["held"]


def _over(feeds: LiveTelemetry, rows: int) -> None:
    for _, tables in feeds.finish():
        if (flows := tables.get("flows")) is None:  # counters of interfaces alone
            continue
        rows += flows.num_rows
        for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes"):
            assert not flows.num_rows or min(flows.column(name).to_pylist()) >= 0
    assert rows == sum(feed.flows for feed in feeds.feeds)
    assert all(line.count >= 0 for feed in feeds.feeds for line in feed.lines)


if __name__ == "__main__":
    if "--atheris" in sys.argv:
        guided([a for a in sys.argv[1:] if a != "--atheris"], one)
    else:
        run(one, sys.argv[1:], 300)
