from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.wire import block, enhanced, interface, obsolete, option, plain_tcp, read, section, simple
from workbench.decode.framing import open_framer
from workbench.errors import BadInputError

T0 = 1_700_000_000_123_456
PACKETS = [plain_tcp(b"a"), plain_tcp(b"bb"), plain_tcp(b"ccc"), plain_tcp(b"d" * 500)]


def capture(order: str = "<") -> bytes:
    return (
        section(order)
        + interface(order, snaplen=4096, options=option(2, b"p0", order) + option(3, b"uplink", order))
        + interface(order, link=101, options=option(9, b"\x09", order))
        + enhanced(PACKETS[0], T0, 0, order)
        + enhanced(PACKETS[1][14:], T0 * 1000, 1, order)
        + obsolete(PACKETS[2], T0 + 5, 0, 7, order)
        + simple(PACKETS[3], order)
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_read_the_same(order: str) -> None:
    framer, frames, packets = read(capture(order))
    assert packets == [PACKETS[0], PACKETS[1][14:], PACKETS[2], PACKETS[3]]
    # a simple packet block has no time: it is given that of the packet before
    assert frames["ts"].tolist() == [T0 * 1000, T0 * 1000, (T0 + 5) * 1000, (T0 + 5) * 1000]
    assert frames["link"].tolist() == [1, 101, 1, 1]
    assert frames["iface"].tolist() == [0, 1, 0, 0]
    assert [(i.link_type, i.snaplen, i.name, i.description) for i in framer.interfaces] == [
        (1, 4096, "p0", "uplink"),
        (101, 0, "", ""),
    ]
    assert framer.dropped == 7
    assert framer.ledger() == []


def test_sections_of_different_byte_order_number_interfaces_on() -> None:
    framer, frames, packets = read(capture("<") + capture(">"))
    assert len(packets) == 8
    assert frames["iface"].tolist() == [0, 1, 0, 0, 2, 3, 2, 2]
    assert framer.dropped == 14


@pytest.mark.parametrize(
    ("resolution", "ticks", "nanoseconds"),
    [
        (6, T0, T0 * 1000),
        (0, 1_700_000_000, 1_700_000_000 * 10**9),
        (3, 1_700_000_000_123, 1_700_000_000_123 * 10**6),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (12, 1_700_000_000_123_456, 1_700_000_000_123),
        (27, 10**18 + 5, 1),
        (127, 12345, 0),
        (0x80, 1_700_000_000, 1_700_000_000 * 10**9),
        (0x80 | 10, 1_700_000_000 << 10 | 512, 1_700_000_000 * 10**9 + 500_000_000),
        (0x80 | 20, 1_700_000_000 << 20 | 1 << 18, 1_700_000_000 * 10**9 + 250_000_000),
        (0x80 | 32, 1_700_000_000 << 32 | 1 << 31, 1_700_000_000 * 10**9 + 500_000_000),
        (0x80 | 63, 1 << 62, 500_000_000),
        (0x80 | 70, 1 << 63, 7_812_500),
        (0xFF, 1 << 63, 0),
        (0, 2**64 - 1, 1 << 62),  # what does not fit is kept within bounds
    ],
)
def test_time_stamp_resolutions(resolution: int, ticks: int, nanoseconds: int) -> None:
    data = section() + interface(options=option(9, bytes([resolution]))) + enhanced(PACKETS[0], ticks)
    _, frames, _ = read(data)
    assert abs(int(frames["ts"][0]) - nanoseconds) <= 1


@pytest.mark.parametrize(
    ("offset", "expected"), [(3600, (1000 + 3600) * 10**9), (-400, 600 * 10**9), (-5000, 0), (2**62, 1 << 61)]
)
def test_time_stamp_offset(offset: int, expected: int) -> None:
    data = section() + interface(options=option(14, struct.pack("<q", offset))) + enhanced(PACKETS[0], 1000 * 10**6)
    _, frames, _ = read(data)
    assert int(frames["ts"][0]) == pytest.approx(expected, abs=1000 * 10**9 if offset == 2**62 else 0)


def statistics(number: int, if_drop: int | None, os_drop: int | None = None) -> bytes:
    options = b""
    if if_drop is not None:
        options += option(5, struct.pack("<Q", if_drop))
    if os_drop is not None:
        options += option(7, struct.pack("<Q", os_drop))
    return block(5, struct.pack("<III", number, 0, 0) + options)


def test_the_latest_statistics_of_each_interface_are_summed() -> None:
    data = (
        section() + interface() + interface() + statistics(0, 5) + statistics(1, 2, 3) + statistics(0, 11) + statistics(9, 1000)
    )
    framer, _, _ = read(data)
    assert framer.dropped == 11 + 2 + 3


def test_no_statistics_is_not_no_drops() -> None:
    framer, _, _ = read(section() + interface() + enhanced(PACKETS[0]))
    assert framer.dropped is None
    framer, _, _ = read(section() + interface() + statistics(0, 0))
    assert framer.dropped == 0


def test_lost_packets_are_summed_from_packet_options() -> None:
    lost = option(4, struct.pack("<Q", 3))
    framer, _, _ = read(section() + interface() + enhanced(PACKETS[0], options=lost) + enhanced(PACKETS[1], options=lost))
    assert framer.dropped == 6


def test_comments_are_counted_and_made_harmless() -> None:
    bad = "see \x1b]52;c;AAAA\x07\u202e".encode()
    data = section(options=option(1, b"of the section")) + interface(options=option(1, bad))
    data += b"".join(enhanced(p, options=option(1, b"of packet %d" % n)) for n, p in enumerate(PACKETS))
    framer, _, packets = read(data)
    assert packets == PACKETS
    assert framer.comments == 6
    (line,) = framer.ledger()
    assert (line.reason, line.count) == ("comments", 6)
    assert "of the section" in line.detail
    assert "of packet 0" in line.detail
    assert "of packet 3" not in line.detail
    assert line.detail.isprintable()


def test_secrets_are_skipped_and_counted_without_being_read() -> None:
    secret = b"CLIENT_RANDOM 00 11"
    data = section() + interface() + block(10, struct.pack("<II", 0x544C534B, len(secret)) + secret) + enhanced(PACKETS[0])
    framer, _, packets = read(data)
    assert packets == [PACKETS[0]]
    (line,) = framer.ledger()
    assert (line.reason, line.count, line.detail) == ("secrets_skipped", 1, "")


def test_unknown_blocks_are_stepped_over_and_counted() -> None:
    huge = block(0x40000BAD, bytes(3_000_000))
    data = section() + interface() + huge + block(0x80000001, b"x") + huge + block(4, b"\0" * 4) + enhanced(PACKETS[0])
    framer, _, packets = read(data, step=65536)
    assert packets == [PACKETS[0]]
    (line,) = framer.ledger()
    assert (line.reason, line.count, line.detail) == ("blocks_skipped", 3, "0x40000bad 2, 0x80000001 1")


def test_a_snap_length_shortens_simple_packets() -> None:
    packet = PACKETS[3]
    data = section() + interface(snaplen=60) + simple(packet[:60], wire=len(packet))
    _, frames, packets = read(data)
    assert packets == [packet[:60]]
    assert frames["wire"][0] == len(packet)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (section(version=(2, 0)) + interface(), "version 2.0"),
        (b"\n\r\r\n" + bytes(24), "byte-order"),
        (section()[:20], "20 of 28"),
    ],
)
def test_headers_that_cannot_be_read_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        open_framer(data)
    assert words in caught.value.message


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_cut_anywhere(data: st.DataObject) -> None:
    whole = capture()
    cut = data.draw(st.integers(28, len(whole)))
    step = data.draw(st.integers(28, 900))
    framer, _, packets = read(whole[:cut], step=step)
    assert packets == [PACKETS[0], PACKETS[1][14:], PACKETS[2], PACKETS[3]][: len(packets)]
    assert len(packets) == 4 or cut < len(whole)
    assert framer.offset == cut
    lines = [line.reason for line in framer.ledger()]
    assert lines in ([], ["cut"])
    if cut % 4:
        assert lines == ["cut"]


@pytest.mark.parametrize(("size", "lines"), [(5000, ["cut"]), (3_000_000, ["cut", "blocks_skipped"])])
def test_cut_inside_a_block_that_is_skipped(size: int, lines: list[str]) -> None:
    framer, _, _ = read((section() + block(0x40000BAD, bytes(size)))[:-100], step=100_000)
    assert [line.reason for line in framer.ledger()] == lines


def test_lengths_that_disagree_are_damage_and_reading_goes_on() -> None:
    bad = bytearray(enhanced(PACKETS[1]))
    bad[-4:] = struct.pack("<I", 1234)
    data = section() + interface() + enhanced(PACKETS[0]) + bytes(bad) + enhanced(PACKETS[2])
    framer, _, packets = read(data)
    assert packets == [PACKETS[0], PACKETS[2]]
    (line,) = framer.ledger()
    assert (line.reason, line.count, line.first_frames) == ("damaged", 1, (2,))


def test_a_packet_longer_than_its_block_is_damage() -> None:
    bad = bytearray(enhanced(PACKETS[1]))
    struct.pack_into("<I", bad, 20, 60000)
    data = section() + interface() + bytes(bad) + enhanced(PACKETS[2]) + enhanced(PACKETS[0], number=4)
    framer, _, packets = read(data)
    assert packets == [PACKETS[2]]
    (line,) = framer.ledger()
    assert (line.reason, line.count) == ("damaged", 2)


@given(st.binary(max_size=2000), st.integers(28, 3000))
@settings(max_examples=100, deadline=None)
def test_noise_never_raises_but_for_a_refused_section(noise: bytes, step: int) -> None:
    data = section() + interface() + noise
    framer, frames, _ = read(data, step=step)
    assert all(int(f["off"]) + int(f["cap"]) <= len(data) for f in frames)
    assert framer.offset == len(data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_flipped_byte_never_raises_unless_in_a_section_header(data: st.DataObject) -> None:
    whole = bytearray(capture())
    at = data.draw(st.integers(28, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    framer, frames, _ = read(bytes(whole))
    assert framer.offset == len(whole)
    assert len(frames) <= 6


def test_more_kinds_of_unknown_blocks_than_are_told_apart() -> None:
    data = section() + interface()
    data += b"".join(block(0x1000 + n, b"") for n in range(100)) * 3 + enhanced(PACKETS[0])
    framer, _, packets = read(data)
    assert packets == [PACKETS[0]]
    (line,) = framer.ledger()
    assert (line.reason, line.count) == ("blocks_skipped", 300)


def test_an_unknown_block_whose_lengths_disagree_is_damage() -> None:
    bad = bytearray(block(0x1234, bytes(40)))
    bad[-4:] = b"\xff\xff\xff\xff"
    framer, _, packets = read(section() + interface() + bytes(bad) + enhanced(PACKETS[0]))
    assert packets == [PACKETS[0]]
    assert [line.reason for line in framer.ledger()] == ["damaged"]


def test_a_length_nobody_would_write_does_not_swallow_the_rest() -> None:
    lie = struct.pack("<II", 0x1234, 512 << 20)
    framer, _, packets = read(section() + interface() + lie + bytes(20) + enhanced(PACKETS[0]))
    assert packets == [PACKETS[0]]
    assert [line.reason for line in framer.ledger()] == ["damaged"]


def test_a_second_section_that_cannot_be_read_is_damage_and_not_the_end() -> None:
    data = section() + interface() + enhanced(PACKETS[0]) + section(version=(7, 0)) + enhanced(PACKETS[1])
    framer, _, packets = read(data)
    assert packets == [PACKETS[0], PACKETS[1]]
    assert [line.reason for line in framer.ledger()] == ["damaged"]
