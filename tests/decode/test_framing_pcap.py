from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.wire import pcap_file, plain_tcp, read
from workbench.decode.framing import open_framer
from workbench.errors import BadInputError

T0 = 1_700_000_000_123_456_000
RECORDS = [(T0, plain_tcp(b"a")), (T0 + 1_000_000, plain_tcp(b"b" * 100)), (T0 + 2_000_000_000, plain_tcp(b"c" * 1000))]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
def test_every_variant_reads_the_same(order: str, magic: int) -> None:
    framer, frames, packets = read(pcap_file(RECORDS, order=order, magic=magic))
    assert packets == [p for _, p in RECORDS]
    assert frames["ts"].tolist() == [ts for ts, _ in RECORDS]
    assert frames["wire"].tolist() == [len(p) for _, p in RECORDS]
    assert framer.ledger() == []
    assert framer.interfaces[0].tsresol == (10**9 if magic == 0xA1B23C4D else 10**6)


def test_nanoseconds_are_kept() -> None:
    _, frames, _ = read(pcap_file([(T0 + 789, b"x" * 20)], magic=0xA1B23C4D))
    assert frames["ts"][0] == T0 + 789


def test_frame_check_bits_are_not_part_of_the_link_type() -> None:
    framer, frames, _ = read(pcap_file(RECORDS, link=0x5400_0001))
    assert framer.interfaces[0].link_type == 1
    assert set(frames["link"]) == {1}


@pytest.mark.parametrize("version", [(3, 0), (1, 9), (2, 5), (9, 9)])
def test_versions_that_do_not_exist_are_refused_by_name(version: tuple[int, int]) -> None:
    with pytest.raises(BadInputError, match=rf"version {version[0]}\.{version[1]}"):
        open_framer(pcap_file(RECORDS, version=version))


def test_a_cut_header_is_refused() -> None:
    with pytest.raises(BadInputError, match="12 of 24"):
        open_framer(pcap_file(RECORDS)[:12])


def test_old_versions_swapped_the_lengths() -> None:
    packet = plain_tcp(b"snap" * 20)
    record = struct.pack("<IIII", 1, 0, len(packet) + 50, len(packet)) + packet  # wire first
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 2, 0, 0, 65535, 1)
    _, frames, packets = read(header + record)
    assert packets == [packet]
    assert frames["wire"][0] == len(packet) + 50
    # 2.3 was written both ways: the smaller is what was captured
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 3, 0, 0, 65535, 1)
    _, frames, packets = read(header + record)
    assert packets == [packet]


@given(cut=st.integers(24, 24 + sum(16 + len(p) for _, p in RECORDS)), step=st.integers(1, 700))
@settings(max_examples=150, deadline=None)
def test_cut_anywhere_keeps_whole_records_and_says_so(cut: int, step: int) -> None:
    data = pcap_file(RECORDS)[:cut]
    framer, _frames, packets = read(data, step=max(step, 24))
    whole, at = 0, 24
    for _, packet in RECORDS:
        at += 16 + len(packet)
        whole += at <= cut
    assert packets == [p for _, p in RECORDS][:whole]
    boundary = 24 + sum(16 + len(p) for _, p in RECORDS[:whole])
    lines = framer.ledger()
    if cut == boundary:
        assert lines == []
    else:
        assert [(line.reason, line.count, line.first_frames) for line in lines] == [("cut", 1, (whole + 1,))]
        assert f"{cut - boundary}" in lines[0].detail


def test_a_lying_length_costs_one_record() -> None:
    records = [(T0 + n * 1000, plain_tcp(bytes([n]) * 40)) for n in range(6)]
    data = bytearray(pcap_file(records))
    size = 16 + len(records[0][1])
    struct.pack_into("<I", data, 24 + 2 * size + 8, 0xFFFF_FF00)
    framer, _, packets = read(bytes(data))
    assert packets == [p for n, (_, p) in enumerate(records) if n != 2]
    (line,) = framer.ledger()
    assert (line.reason, line.count, line.first_frames) == ("damaged", 1, (3,))
    assert f"byte {24 + 2 * size}:" in line.detail
    assert str(0xFFFF_FF00) in line.detail


@given(step=st.integers(24, 400))
@settings(max_examples=40, deadline=None)
def test_damage_is_found_again_whatever_the_blocks(step: int) -> None:
    records = [(T0 + n * 1000, plain_tcp(bytes([n]) * 40)) for n in range(6)]
    good = pcap_file(records)
    size = 16 + len(records[0][1])
    data = good[: 24 + 3 * size] + b"\xff" * 57 + good[24 + 3 * size :]
    _, _, packets = read(data, step=step)
    assert packets == [p for _, p in records]


def test_a_damaged_tail_ends_the_reading_without_a_loop() -> None:
    framer, _, packets = read(pcap_file(RECORDS) + b"\xff" * 5000)
    assert packets == [p for _, p in RECORDS]
    assert [line.reason for line in framer.ledger()] == ["damaged"]


def test_a_longer_snap_length_is_believed_up_to_a_bound() -> None:
    packet = bytes(300_000)
    framer, _, packets = read(pcap_file([(T0, packet)], snaplen=1_000_000))
    assert packets == [packet]
    framer, _, packets = read(pcap_file([(T0, packet)], snaplen=65535))
    assert packets == []
    assert framer.ledger()[0].reason == "damaged"


def test_needs_says_how_much_to_fetch() -> None:
    data = pcap_file(RECORDS)
    import numpy as np

    from workbench.records.packet import FRAME

    framer = open_framer(data)
    buf, rows = np.frombuffer(data, np.uint8), np.zeros(8, FRAME)
    assert framer.frame(buf, 0, 24 + 16, False, rows) == (0, 24)
    assert framer.frame(buf, 24, 24 + 16, False, rows) == (0, 24)
    assert framer.needs == 16 + len(RECORDS[0][1])


@given(st.binary(max_size=3000), st.integers(24, 3000))
@settings(max_examples=100, deadline=None)
def test_noise_never_raises_and_always_ends(noise: bytes, step: int) -> None:
    framer, frames, _ = read(pcap_file([]) + noise, step=step)
    assert all(int(f["off"]) + int(f["cap"]) <= 24 + len(noise) for f in frames)
    assert framer.offset == 24 + len(noise)
