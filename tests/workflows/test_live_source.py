from __future__ import annotations

import pyarrow as pa

from workbench.records.reasons import LedgerLine
from workbench.workflows.live_source import LiveSource
from workbench.workflows.live_worker import LiveTick

TICK = LiveTick(
    frames=100, packets=90, bytes=9000, flows=7, open_flows=2, ts_first=0, ts_last=1, ts_now=1, behind=0, links=(), snaplens=(),
    dropped=None, lines=(LedgerLine("link_type", 5), LedgerLine("dropped", 3)),
)  # fmt: skip


def flows(*packets: tuple[int, int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"src_pkts": [a for a, _ in packets], "dst_pkts": [b for _, b in packets]})


def test_packets_are_those_that_the_decoder_tells() -> None:
    live = LiveSource({"source_id": 1}, tick=TICK)
    live.keep("flows", flows((40, 30)))
    assert live.packets == 90
    assert live.describe(None)["packets"] == 90


def test_packets_of_a_source_whose_decoder_died_are_those_that_stand_in_the_case() -> None:
    live = LiveSource({"source_id": 1}, tick=TICK)
    live.keep("flows", flows((40, 30), (1, 0)))
    live.keep("arp", flows((1, 1), (1, 1), (1, 1)))
    live.keep("dns", flows((8, 8)))
    live.broken_off(flows((2, 2)))
    assert live.packets == 71 + 3 + 4 + 5
    assert live.describe(None)["packets"] == live.packets


def test_nothing_is_known_before_the_decoder_said_anything() -> None:
    live = LiveSource({"source_id": 1})
    live.broken_off(None)
    assert live.packets == 0
    assert live.describe(None) == {}
