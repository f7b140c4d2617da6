from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.telemetry.messages import (
    BASIC,
    SENT,
    Collected,
    a_set,
    basic,
    ipfix,
    options_template,
    template,
)
from workbench.decode.telemetry.exporters import MAX_TEMPLATES
from workbench.decode.telemetry.templates import Field, compile_template
from workbench.records import telemetry as r

ONE = basic("192.0.2.1", "198.51.100.2", 1234, 443, size=1500, packets=7, start=SENT * 1000 - 5000, end=SENT * 1000 - 10)
TWO = basic("192.0.2.3", "198.51.100.4", 5555, 22)


def ip4(text: str) -> int:
    a, b, c, d = (int(part) for part in text.split("."))
    return 0xFFFF << 32 | a << 24 | b << 16 | c << 8 | d


def test_a_record_field_by_field() -> None:
    found = Collected([ipfix(template(256, BASIC), a_set(256, ONE + TWO))])
    row = found.rows[0]
    assert len(found.rows) == 2
    assert (row[r.SRC_HI], row[r.SRC_LO], row[r.DST_LO]) == (0, ip4("192.0.2.1"), ip4("198.51.100.2"))
    assert row[[r.SRC_PORT, r.DST_PORT, r.PROTO, r.FLAGS, r.REASON]].tolist() == [1234, 443, 6, 0x1B, 3]
    assert row[[r.BYTES, r.PKTS]].tolist() == [1500, 7]
    assert (row[r.START], row[r.END]) == ((SENT * 1000 - 5000) * 10**6, (SENT * 1000 - 10) * 10**6)
    assert row[[r.VLAN, r.VNI, r.VERDICT, r.REVERSE_PKTS]].tolist() == [-1] * 4


def test_data_before_its_template_is_held_and_read_by_its_own_clock() -> None:
    late = ipfix(template(256, [*BASIC[:8], (158, 4), (159, 4)]), sequence=1, sent=SENT + 100)
    early = ipfix(a_set(256, ONE[:31] + struct.pack(">II", 2_000_000, 1_000_000)), sent=SENT)
    found = Collected([early, late])
    assert found.rows[:, [r.START, r.END]].tolist() == [[(SENT - 2) * 10**9, (SENT - 1) * 10**9]]
    assert "template_missing" not in found.ledger()


def test_data_whose_template_never_comes_is_counted() -> None:
    found = Collected([ipfix(a_set(300, ONE), a_set(300, TWO))])
    assert len(found.rows) == 0
    assert found.ledger() == {"template_missing": 2}


def test_held_data_is_bounded_and_grows_old() -> None:
    big = a_set(300, bytes(60_000))
    found = Collected([ipfix(big) for _ in range(10)])
    assert found.ledger()["template_missing"] == 10
    assert len(found.collector.exporters[0].tally.ledger()[0].first_frames) == 5
    later = Collected([ipfix(a_set(256, ONE)), ipfix(a_set(256, TWO), sent=SENT + 3600), ipfix(template(256, BASIC))])
    assert len(later.rows) == 1
    assert later.ledger()["template_missing"] == 1


def test_a_changed_template_reads_what_comes_after_it() -> None:
    other = [*BASIC[2:4], *BASIC[:2], *BASIC[4:]]
    turned = TWO[8:12] + TWO[:8] + TWO[12:]
    found = Collected([ipfix(template(256, BASIC), a_set(256, ONE), template(256, other), a_set(256, turned))])
    assert found.rows[:, r.SRC_PORT].tolist() == [1234, 5555]
    assert found.rows[1, r.SRC_LO] == ip4("192.0.2.3")
    assert found.ledger()["template_changed"] == 1


def test_a_withdrawn_template_is_gone() -> None:
    found = Collected([ipfix(template(256, BASIC), a_set(2, struct.pack(">HH", 256, 0)), a_set(256, ONE))])
    assert found.ledger() == {"template_missing": 1}
    everything = Collected([ipfix(template(256, BASIC), a_set(2, struct.pack(">HH", 2, 0)), a_set(256, ONE))])
    assert everything.ledger() == {"template_missing": 1}


def test_templates_are_bounded_and_need_bytes() -> None:
    found = Collected([ipfix(*(template(256 + n, [(8, 4), (12, 4)]) for n in range(MAX_TEMPLATES + 3)))])
    assert found.ledger() == {"template_refused": 3}
    empty = Collected([ipfix(template(256, [(8, 0), (12, 0)]), a_set(256, b""))])
    assert empty.ledger()["template_refused"] == 1


def test_templates_of_one_domain_or_session_are_not_anothers() -> None:
    found = Collected([ipfix(template(256, BASIC), domain=1), ipfix(a_set(256, ONE), domain=2)])
    assert found.ledger() == {"template_missing": 1}


def test_variable_lengths_short_and_long() -> None:
    fields = [(8, 4), (96, 65535), (12, 4), (82, 65535), (7, 2), (11, 2), (4, 1)]

    def record(name: bytes, prefix: bytes) -> bytes:
        return ONE[:4] + bytes([len(name)]) + name + ONE[4:8] + prefix + b"p" * 300 + ONE[8:13]

    long = b"\xff" + struct.pack(">H", 300)
    found = Collected([ipfix(template(256, fields), a_set(256, record(b"", long) + record(b"web", long)))])
    assert found.rows[:, [r.SRC_PORT, r.DST_PORT, r.PROTO]].tolist() == [[1234, 443, 6]] * 2
    cut = Collected([ipfix(template(256, fields), a_set(256, record(b"x", long) + ONE[:4] + b"\xff" + b"ab" * 9))])
    assert len(cut.rows) == 1
    assert cut.ledger()["telemetry_malformed"] == 1


def test_enterprise_elements() -> None:
    ovs = [
        *BASIC,
        (891, 1, 6876),
        (892, 65535, 6876),
        (893, 4, 6876),
        (894, 4, 6876),
        (133, 8),
        (138, 8),
        (513, 4, 51886),
        (9, 2, 9999),
    ]
    more = b"\x01" + b"\x03" + (5001).to_bytes(3, "big") + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">QQ", 1, 57005)
    found = Collected([ipfix(template(256, ovs), a_set(256, ONE + more + bytes(6)))])
    row = found.rows[0]
    assert row[[r.VNI, r.TUNNEL, r.POINT, r.DROPPED, r.VERDICT]].tolist() == [5001, 1, 57005, 1, r.DENIED]
    assert row[r.OUTER_SRC_LO] == ip4("10.0.0.1")
    (line,) = [line for line in found.collector.exporters[0].tally.ledger() if line.reason == "fields_unknown"]
    assert line.detail == "9999:9"


def test_a_tenants_packet_is_the_flow_and_the_outer_one_its_tunnel() -> None:
    fields = [*BASIC, (881, 4, 6876), (882, 4, 6876), (886, 2, 6876), (887, 2, 6876), (880, 1, 6876)]
    inner = bytes([172, 16, 0, 1, 172, 16, 0, 2]) + struct.pack(">HHB", 40000, 53, 17)
    row = Collected([ipfix(template(256, fields), a_set(256, ONE + inner))]).rows[0]
    assert (row[r.SRC_LO], row[r.OUTER_SRC_LO]) == (ip4("172.16.0.1"), ip4("192.0.2.1"))
    assert row[[r.SRC_PORT, r.DST_PORT, r.PROTO]].tolist() == [40000, 53, 17]


def test_both_families_in_one_template() -> None:
    fields = [(8, 4), (12, 4), (27, 16), (28, 16), (7, 2)]
    four, six = ONE[:8] + bytes(32) + b"\0\x01", bytes(8) + bytes(range(1, 17)) + bytes(range(17, 33)) + b"\0\x02"
    rows = Collected([ipfix(template(256, fields), a_set(256, four + six))]).rows
    assert rows[0, r.SRC_LO] == ip4("192.0.2.1")
    assert rows[1, [r.SRC_HI, r.SRC_LO]].tolist() == [0x0102030405060708, 0x090A0B0C0D0E0F10]


def test_reverse_elements() -> None:
    fields = [*BASIC, (1, 8, 29305), (2, 4, 29305), (6, 1, 29305)]
    row = Collected([ipfix(template(256, fields), a_set(256, ONE + struct.pack(">QIB", 900, 6, 18)))]).rows[0]
    assert row[[r.REVERSE_BYTES, r.REVERSE_PKTS, r.REVERSE_FLAGS]].tolist() == [900, 6, 18]


def test_times_in_every_form() -> None:
    def start(element: int, length: int, value: int) -> int:
        fields = [(8, 4), (12, 4), (element, length)]
        found = Collected([ipfix(template(256, fields), a_set(256, ONE[:8] + value.to_bytes(length, "big")))])
        return int(found.rows[0, r.START])

    ntp = (SENT + 2_208_988_800) << 32 | 1 << 31
    assert start(150, 4, SENT) == SENT * 10**9
    assert start(152, 8, SENT * 1000 + 1) == SENT * 10**9 + 10**6
    assert start(154, 8, ntp) == start(156, 8, ntp) == SENT * 10**9 + 500_000_000
    assert start(158, 4, 7) == SENT * 10**9 - 7000
    assert start(152, 8, (1 << 64) - 1) == 0


def test_sampling_from_options_by_selector_and_for_all() -> None:
    options = options_template(400, [(149, 4)], [(302, 8), (305, 4), (306, 4)])
    selectors = a_set(400, struct.pack(">IQII", 1, 5, 1, 99) + struct.pack(">IQII", 1, 6, 1, 0))
    fields = [*BASIC, (302, 8)]
    data = a_set(256, ONE + struct.pack(">Q", 5) + TWO + struct.pack(">Q", 6))
    found = Collected([ipfix(options, selectors, template(256, fields), data)])
    assert found.rows[:, r.SAMPLING].tolist() == [100, 1]
    everything = options_template(400, [(149, 4)], [(34, 4)])
    plain = Collected([ipfix(everything, a_set(400, struct.pack(">II", 1, 512)), template(256, BASIC), a_set(256, ONE))])
    assert plain.rows[:, r.SAMPLING].tolist() == [512]
    assert plain.collector.exporters[0].tally.ledger()[0].detail == "1 in 512"


def test_times_since_the_exporter_started_need_its_options() -> None:
    fields = [(8, 4), (12, 4), (22, 4), (21, 4)]
    data = a_set(256, ONE[:8] + struct.pack(">II", 93, 17_620))
    options = options_template(400, [(144, 4)], [(160, 8)]) + a_set(400, struct.pack(">IQ", 1, (SENT - 100) * 1000))
    found = Collected([ipfix(template(256, fields), options, data)])
    assert found.rows[:, [r.START, r.END]].tolist() == [[(SENT - 100) * 10**9 + n * 10**6 for n in (93, 17_620)]]
    unknown = Collected([ipfix(template(256, fields), data)])
    assert unknown.rows[0, r.START] == SENT * 10**9


def test_lost_records_are_counted_and_a_restart_told() -> None:
    sets = (template(256, BASIC), a_set(256, ONE + TWO))
    messages = [ipfix(*sets, sequence=n) for n in (10, 12, 24, 0, 2)]
    found = Collected(messages)
    assert found.ledger() == {"telemetry_lost": 10, "exporter_restarted": 1}
    assert found.collector.exporters[0].records == 10


def test_exporters_that_count_otherwise_lose_nothing() -> None:
    sets = (template(256, BASIC), a_set(256, ONE + TWO))
    assert Collected([ipfix(*sets, sequence=n) for n in (1, 2, 3, 4)]).ledger() == {}
    thirds = (template(256, BASIC), a_set(256, ONE + TWO + ONE))
    up_to_the_end = [ipfix(*sets, sequence=2), ipfix(*thirds, sequence=5), ipfix(*sets, sequence=7)]
    assert Collected(up_to_the_end).ledger() == {}
    assert Collected([*up_to_the_end, ipfix(*sets, sequence=13)]).ledger() == {"telemetry_lost": 4}


def test_lengths_that_lie() -> None:
    good = ipfix(template(256, BASIC), a_set(256, ONE))
    longer = good[:2] + struct.pack(">H", len(good) + 100) + good[4:]
    assert len(Collected([longer]).rows) == 1
    assert Collected([longer]).ledger()["telemetry_malformed"] == 1
    set_longer = ipfix(template(256, BASIC), struct.pack(">HH", 256, 4000) + ONE)
    assert Collected([set_longer]).ledger() == {"telemetry_malformed": 1}
    assert Collected([good + b"\xff\xff"]).taken == [True]
    assert Collected([b"", b"\0\x0a", good[:10]]).taken == [False] * 3


def test_rows_go_on_when_the_buffer_is_full() -> None:
    found = Collected([ipfix(template(256, BASIC), a_set(256, ONE * 150))], rows=64)
    assert [len(batch) for batch in found.batches] == [64, 64, 22]


def test_the_dtype_of_a_template_has_the_elements_names() -> None:
    made = compile_template(256, [Field(0, number, length) for number, length in ((8, 4), (1, 8), (1, 8), (56, 6))])
    assert made is not None
    assert made.dtype.names == ("sourceIPv4Address", "octetDeltaCount", "octetDeltaCount_2", "sourceMacAddress")
    assert made.dtype.itemsize == made.size == 26


MESSAGES = [
    ipfix(template(256, BASIC), options_template(400, [(149, 4)], [(34, 4)]), a_set(400, struct.pack(">II", 1, 512))),
    ipfix(a_set(256, ONE + TWO), sequence=1),
    ipfix(template(257, [(8, 4), (82, 65535), (12, 4)]), a_set(257, ONE[:4] + b"\x02ab" + ONE[4:8]), sequence=3),
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_messages_cost_nothing_but_lines(data: st.DataObject) -> None:
    messages = []
    for message in MESSAGES:
        wire = bytearray(message)
        for _ in range(data.draw(st.integers(0, 6))):
            at = data.draw(st.integers(0, len(wire) - 1))
            wire[at] = data.draw(st.integers(0, 255))
        messages.append(bytes(wire[: data.draw(st.integers(0, len(wire)))]))
    found = Collected(messages)
    assert np.isin(found.rows[:, r.EXPORTER], [e.number for e in found.collector.exporters]).all()
    assert sum(e.records for e in found.collector.exporters) >= len(found.rows)
