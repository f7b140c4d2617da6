from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture_files import udp_frame
from tests.decode.telemetry.messages import SENT, Collected, counter_sample, header_sample, sflow
from workbench.decode.telemetry.sflow import Counters, Sample
from workbench.records.reasons import BY_NAME
from workbench.workflows.counter_rows import counter_rows

FRAME = udp_frame(1, 2, 1000, 2000)
VALUES = (3, 6, 10**9, 1, 3, 3910, 28, 0, 0, 5, 0, 0, 3946, 29, 0, 0, 7, 0, 0)


class Kept:
    def __init__(self) -> None:
        self.samples: list[tuple[bytes, Sample]] = []
        self.told: list[Counters] = []

    def sample(self, buf: object, sample: Sample) -> None:
        self.samples.append((bytes(buf[sample.start : sample.end]), sample))  # type: ignore[index]

    def counters(self, counters: Counters) -> None:
        self.told.append(counters)


def test_headers_rates_and_counters() -> None:
    kept = Kept()
    found = Collected([sflow(header_sample(FRAME, rate=400, wire=1500), counter_sample(VALUES))], kept)
    ((frame, sample),) = kept.samples
    assert frame == FRAME
    assert (sample.rate, sample.wire, sample.link, sample.ts, sample.dropped) == (400, 1500, 1, SENT * 10**9, False)
    (counters,) = kept.told
    told = counters.by_name()
    assert (told["if_index"], told["in_bytes"], told["in_discards"], told["out_discards"]) == (3, 3910, 5, 7)
    assert found.ledger() == {"sampled": 1}


def test_datagrams_that_did_not_arrive() -> None:
    found = Collected([sflow(sequence=n) for n in (1, 2, 5)])
    assert found.ledger() == {"telemetry_lost": 2}


def test_a_dropped_packet_is_told_as_such() -> None:
    kept = Kept()
    Collected([sflow(header_sample(FRAME, kind=5))], kept)
    assert [sample.dropped for _, sample in kept.samples] == [True]


def test_lengths_that_lie() -> None:
    whole = sflow(header_sample(FRAME), count=9)
    assert Collected([whole], Kept()).ledger()["telemetry_malformed"] == 1
    cut = sflow(header_sample(FRAME))[:-8]
    assert Collected([cut], Kept()).ledger() == {"telemetry_malformed": 1}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_datagrams_cost_nothing_but_lines(data: st.DataObject) -> None:
    wire = bytearray(sflow(header_sample(FRAME), counter_sample(VALUES)))
    for _ in range(data.draw(st.integers(1, 6))):
        wire[data.draw(st.integers(8, len(wire) - 1))] = data.draw(st.integers(0, 255))
    kept = Kept()
    found = Collected([bytes(wire)], kept)
    assert all(0 <= s.start <= s.end <= len(wire) for _, s in kept.samples)
    assert set(found.ledger()) <= set(BY_NAME)


def test_counters_are_rows_and_what_is_not_told_is_null() -> None:
    unknown, most = (1 << 32) - 1, (1 << 64) - 1
    values = (7, 6, 10**9, 1, 3, 5000, 10, 2, unknown, 4, 1, 0, most, unknown, unknown, unknown, unknown, 0, 0)
    kept = Kept()
    Collected([sflow(counter_sample(values), counter_sample(VALUES))], kept)
    row, other = counter_rows(kept.told).to_pylist()
    assert (row["agent"], row["if_index"], row["speed"]) == ("192.0.2.9", 7, 10**9)
    assert (row["in_bytes"], row["in_pkts"], row["in_discards"], row["in_errors"]) == (5000, 12, 4, 1)
    assert (row["out_bytes"], row["out_pkts"], row["out_discards"], row["out_errors"]) == (None, None, None, 0)
    assert row["ts"] == dt.datetime(2023, 11, 14, 22, 13, 20)
    assert (other["out_bytes"], other["out_pkts"], other["out_discards"]) == (3946, 29, 7)
