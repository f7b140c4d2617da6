from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checked import GROUP, checked_kernels
from tests.conformance.captures import folder, required
from tests.decode.wire import decode_all, frames_of, plain_tcp, read
from tests.fuzz.fuzz_decode import LINKS, check, main, one
from workbench.decode.packets import VERIFY_CHECKSUMS, decode_frames
from workbench.decode.tally import UndecodedTally
from workbench.errors import BadInputError
from workbench.records.packet import PACKET, UNDECODED

ROOT = Path(__file__).parents[2]
CAPTURES = folder()


def test_rows_keep_time_order_and_place() -> None:
    packets = [plain_tcp(bytes([n]) * n) for n in range(20)]
    rows = decode_all(packets, gap=b"\xee" * 16)
    assert rows["ts"].tolist() == [n * 1_000_000 for n in range(20)]
    assert rows["payload"].tolist() == list(range(20))
    assert (rows["end"] - rows["rec"]).tolist() == [len(p) for p in packets]


def test_only_what_was_asked_for_is_written() -> None:
    buf, frames = frames_of([plain_tcp()] * 4)
    rows = np.full(4, 0xEE, np.uint8).repeat(PACKET.itemsize).view(PACKET)
    decode_frames(buf, frames, 2, rows, VERIFY_CHECKSUMS)
    assert rows["status"].tolist() == [0, 0, 0xEE, 0xEE]


@pytest.mark.parametrize("n", [-1, 5])
def test_more_rows_than_there_is_room_for(n: int) -> None:
    buf, frames = frames_of([plain_tcp()] * 4)
    with pytest.raises(ValueError, match="room for"):
        decode_frames(buf, frames, n, np.zeros(4, PACKET), 0)


@pytest.mark.parametrize(("off", "cap"), [(-1, 10), (0, 10_000), (10_000, 0), (1 << 62, 60), (-(1 << 62), 60)])
def test_frames_outside_the_buffer_are_an_error_and_not_a_read(off: int, cap: int) -> None:
    buf, frames = frames_of([plain_tcp()])
    frames["off"], frames["cap"] = off, cap
    with pytest.raises(ValueError, match="outside"):
        decode_frames(buf, frames, 1, np.zeros(1, PACKET), 0)


def test_a_writable_and_a_read_only_buffer_are_the_same() -> None:
    buf, frames = frames_of([plain_tcp()])
    a, b = np.zeros(1, PACKET), np.zeros(1, PACKET)
    decode_frames(buf, frames, 1, a, 1)
    decode_frames(buf.copy(), frames, 1, b, 1)
    assert not buf.flags.writeable
    assert a == b


@given(st.integers(0, 2**40))
@settings(max_examples=400, deadline=None)
def test_damaged_packets(seed: int) -> None:
    one(seed)


@given(st.sampled_from(LINKS), st.binary(max_size=250), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_noise(link: int, packet: bytes, on_wire: int) -> None:
    check(link, packet, on_wire)


@given(st.integers(0, 65535), st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_every_link_type_has_an_answer(link: int, packet: bytes) -> None:
    check(link, packet, len(packet))


def test_fuzz_rounds_by_seed() -> None:
    main(1500, 42_000_000)


@pytest.mark.slow
@pytest.mark.xdist_group(GROUP)
def test_fuzz_rounds_with_bounds_checked() -> None:
    """Another process and cache folder: numba's cache ignores the flag."""
    env = {**os.environ, **checked_kernels(), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.fuzz.fuzz_decode", "3000", "77"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


def _captures() -> list[Path]:
    found = [p for p in sorted(CAPTURES.rglob("*")) if p.suffix in (".pcap", ".pcapng", ".cap", ".trace") and p.is_file()]
    if not found and required():
        pytest.fail(f"no captures in {CAPTURES}")
    return found


@pytest.mark.conformance
def test_every_shared_capture_has_a_row_for_each_packet() -> None:
    captures = _captures()
    if not captures:
        pytest.skip("no shared captures")
    framed = 0
    for path in captures:
        data = path.read_bytes()
        try:
            framer, frames, _ = read(data, rows=4096)
        except BadInputError:
            continue
        rows = np.zeros(len(frames), PACKET)
        rows["status"] = 99
        decode_frames(np.frombuffer(data, np.uint8), frames, len(frames), rows, VERIFY_CHECKSUMS)
        assert set(rows["status"]) <= {0, 1, 2}, path
        tally = UndecodedTally()
        tally.add(rows, len(rows), 1)
        assert tally.undecoded == int((rows["status"] == UNDECODED).sum()), path
        assert framer.offset == len(data), path
        framed += len(frames)
    assert framed > 10_000
