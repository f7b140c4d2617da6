from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.telemetry.messages import (
    SENT,
    Collected,
    a_set,
    netflow5,
    netflow5_record,
    netflow9,
    options_template,
    template,
)
from workbench.decode.telemetry.framing import MORE, message_length
from workbench.records import telemetry as r

FIVE = netflow5_record("192.0.2.1", "198.51.100.2", 1234, 443, packets=3, size=300)
NINE = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4), (22, 4), (21, 4))
RECORD = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack(">HHBBIIII", 1234, 443, 6, 27, 300, 3, 990_000, 995_000)


def test_netflow5() -> None:
    found = Collected([netflow5(FIVE, FIVE, sampling=0x4064)])
    row = found.rows[0]
    assert len(found.rows) == 2
    assert row[[r.SRC_PORT, r.DST_PORT, r.PROTO, r.FLAGS, r.PKTS, r.BYTES]].tolist() == [1234, 443, 6, 27, 3, 300]
    assert row[r.START] == SENT * 10**9 + 500_000_000 - 10 * 10**9
    assert row[r.SAMPLING] == 100
    assert row[[r.IN_IF, r.OUT_IF]].tolist() == [1, 2]


def test_netflow5_that_lies_about_its_count() -> None:
    cut = Collected([netflow5(FIVE, FIVE, count=3)])
    assert len(cut.rows) == 2
    assert cut.ledger() == {"telemetry_malformed": 1}
    assert len(Collected([netflow5(FIVE, count=163)]).rows) == 0


def test_netflow5_loses_records() -> None:
    assert Collected([netflow5(FIVE, sequence=n) for n in (1, 2, 9)]).ledger() == {"telemetry_lost": 6}


def test_netflow9() -> None:
    found = Collected([netflow9(template(260, NINE, ipfix=False), a_set(260, RECORD + RECORD))])
    assert found.rows[:, [r.SRC_PORT, r.PKTS, r.BYTES, r.FLAGS]].tolist() == [[1234, 3, 300, 27]] * 2
    assert found.rows[0, r.END] == SENT * 10**9 - 5 * 10**9


def test_netflow9_uptime_that_wrapped() -> None:
    record = RECORD[:-8] + struct.pack(">II", (1 << 32) - 4000, 500)
    message = netflow9(template(260, NINE, ipfix=False), a_set(260, record), uptime=1000)
    assert Collected([message]).rows[0, [r.START, r.END]].tolist() == [SENT * 10**9 - 5 * 10**9, SENT * 10**9 - 5 * 10**8]


def test_netflow9_sampling_by_sampler() -> None:
    fields = (*NINE, (48, 1))
    options = options_template(300, [(1, 4)], [(48, 1), (50, 4)], ipfix=False)
    rates = a_set(300, struct.pack(">IBI", 1, 7, 1000))
    found = Collected([netflow9(options, rates, template(260, fields, ipfix=False), a_set(260, RECORD + b"\x07"))])
    assert found.rows[:, r.SAMPLING].tolist() == [1000]


def test_netflow9_loses_messages() -> None:
    sets = (template(260, NINE, ipfix=False), a_set(260, RECORD))
    assert Collected([netflow9(*sets, sequence=n) for n in (5, 6, 9)]).ledger() == {"telemetry_lost": 2}


def test_glued_messages_of_any_kind() -> None:
    nine = netflow9(template(260, NINE, ipfix=False), a_set(260, RECORD))
    found = Collected([nine + nine, netflow5(FIVE) + netflow5(FIVE) + nine])
    assert len(found.rows) == 5
    assert [e.kind for e in found.collector.exporters] == ["netflow9", "netflow5"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=5), st.integers(1, 400))
def test_messages_of_a_file_are_found_wherever_blocks_end(kinds: list[int], step: int) -> None:
    parts = [netflow9(template(260, NINE, ipfix=False), a_set(260, RECORD)), netflow5(FIVE, FIVE)]
    data = np.frombuffer(b"".join(parts[kind] for kind in kinds), np.uint8)
    found, at, end = [], 0, 0
    while at < len(data):
        end = min(len(data), end + step)
        length = message_length(data, at, end, eof=end == len(data))
        if length == MORE:
            continue
        assert length > 0
        found.append(length)
        at += length
    assert found == [len(parts[kind]) for kind in kinds]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([5, 9, 10]))
def test_noise_behind_a_version_is_survived(noise: bytes, version: int) -> None:
    message = struct.pack(">H", version) + noise
    found = Collected([message, message])
    data = np.frombuffer(message, np.uint8)
    assert message_length(data, 0, len(data), eof=True) <= len(data)
    assert len(found.taken) == 2
