"""Blocks made by the kernel are those that the plain writer makes, and it never writes beyond its room."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decode.wire import enhanced, interface, obsolete, option, read, section, simple
from workbench.decode.pcapng_copy import DONE, NEEDS, STATE_SLOTS, copy_packets
from workbench.export.pcapng import PcapngWriter
from workbench.records.packet import FRAME


def capture(order: str, packets: list[tuple[bytes, str]]) -> bytes:
    out = [section(order), interface(order)]
    for n, (data, comment) in enumerate(packets):
        options = option(1, comment.encode(), order) + option(0, b"", order) if comment else b""
        out.append(enhanced(data, 1_700_000_000_000_000 + n, 0, order, options=options, wire=len(data) + n))
    return b"".join(out)


@given(
    st.sampled_from("<>"),
    st.lists(st.tuples(st.binary(max_size=90), st.text(max_size=9)), min_size=1, max_size=20),
    st.data(),
)
def test_the_kernel_writes_what_the_writer_writes(order: str, packets: list[tuple[bytes, str]], data: st.DataObject) -> None:
    stream = capture(order, packets)
    _, rows, _ = read(stream)
    places = data.draw(st.lists(st.integers(0, len(packets) - 1), unique=True).map(sorted))
    out = io.BytesIO()
    writer = PcapngWriter(out, application="x")
    number = writer.interface(1)
    begun = len(out.getvalue())
    for n in places:
        writer.packet(
            number,
            1_700_000_000_000_000_000 + 1000 * n,
            packets[n][0],
            len(packets[n][0]) + n,
            [packets[n][1]] if packets[n][1] else (),
        )
    assert _all(stream, rows, places, room=data.draw(st.integers(0, 400))) == out.getvalue()[begun:]


def _all(stream: bytes, rows: np.ndarray, places: list[int], room: int) -> bytes:  # type: ignore[type-arg]
    """Everything, through a window that is made larger only where it must be; what lies behind it stays as it is."""
    buf, chosen, state = np.frombuffer(stream, np.uint8), np.array(places, np.int64), np.zeros(STATE_SLOTS, np.int64)
    targets, made, first = np.array([[0, 1000]], np.int64), b"", 0
    while first < len(places):
        memory = np.full(room + 64, 0xAA, np.uint8)
        used = copy_packets(buf, rows, len(rows), chosen, first, len(places), targets, True, memory[:room], state)
        assert used <= room
        assert (memory[room:] == 0xAA).all()
        made += memory[:used].tobytes()
        assert state[DONE] > first or state[NEEDS] > room
        first, room = int(state[DONE]), max(room, int(state[NEEDS]))
    return made


@pytest.mark.parametrize("order", "<>")
def test_the_obsolete_and_the_simple_block(order: str) -> None:
    stream = section(order) + interface(order) + obsolete(b"abc", 7, order=order) + simple(b"defgh", order)
    _, rows, _ = read(stream)
    _, again, packets = read(section() + interface() + _all(stream, rows, [0, 1], 400))
    assert packets == [b"abc", b"defgh"]
    assert again["ts"].tolist() == [7000, 7000]


def test_frames_that_lie_about_their_place_are_left_out() -> None:
    stream = capture("<", [(b"abcd", "")])
    _, rows, _ = read(stream)
    out, state = np.zeros(400, np.uint8), np.zeros(STATE_SLOTS, np.int64)
    buf = np.frombuffer(stream, np.uint8)
    one = np.zeros(1, np.int64)
    for name, value in (("off", -1), ("off", len(stream) - 3), ("off", 1 << 60), ("cap", 1 << 31), ("iface", 1)):
        lying = np.array(rows, FRAME)
        lying[name] = value
        assert copy_packets(buf, lying, 1, one, 0, 1, np.array([[0, 1]], np.int64), True, out, state) == 0
        assert state[DONE] == 1
    for place in (-1, 1):
        assert copy_packets(buf, rows, 1, np.array([place]), 0, 1, np.array([[0, 1]], np.int64), True, out, state) == 0


@given(st.binary(min_size=40, max_size=200), st.integers(-5, 250), st.integers(0, 200), st.integers(0, 250))
def test_noise_in_place_of_a_block_never_reads_or_writes_outside(noise: bytes, rec: int, off: int, cap: int) -> None:
    """With bounds checked (`NUMBA_BOUNDSCHECK=1`) an overrun would raise."""
    frame = np.zeros(1, FRAME)
    frame["rec"], frame["off"], frame["cap"] = rec, off, cap
    out, state = np.full(900, 0xAA, np.uint8), np.zeros(STATE_SLOTS, np.int64)
    buf = np.frombuffer(noise, np.uint8)
    used = copy_packets(buf, frame, 1, np.zeros(1, np.int64), 0, 1, np.array([[0, 1]], np.int64), True, out[:600], state)
    assert used <= 600
    assert (out[600:] == 0xAA).all()
