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
from tests.decode.wire import frames_of, plain_tcp
from workbench.decode.bpf import LONGEST, MOST_BACK, Selector, checked
from workbench.records.packet import FRAME

ROOT = Path(__file__).parents[2]
ALL = 0xFFFFFFFF
Program = list[tuple[int, int, int, int]]
ACCEPT = (0x06, 0, 0, 262144)
REJECT = (0x06, 0, 0, 0)

LOADS = {0x20: 4, 0x28: 2, 0x30: 1}
INDIRECT = {0x40: 4, 0x48: 2, 0x50: 1}
MEMORY = (0x60, 0x61, 0x02, 0x03)
SIMPLE = (0x80, 0x81, 0x07, 0x87, 0x84)
CONSTANTS = (0x00, 0x01)
CALCULATIONS = (0x04, 0x14, 0x24, 0x34, 0x94, 0x54, 0x44, 0xA4, 0x64, 0x74)
BRANCHES = (0x15, 0x25, 0x35, 0x45)


def interpreted(program: Program, packet: bytes, wire: int) -> int:
    """The instruction set, read off McCanne and Jacobson's table; one if a line, Python's own integers."""
    a = x = at = back = 0
    memory = [0] * 16
    while True:
        code, jt, jf, k = program[at]
        at += 1
        if code in LOADS or code in INDIRECT:
            size = LOADS.get(code) or INDIRECT[code]
            place = k + (x if code in INDIRECT else 0)
            if place + size > len(packet):
                return 0
            a = int.from_bytes(packet[place : place + size], "big")
        elif code == 0xB1:
            if k >= len(packet):
                return 0
            x = (packet[k] & 15) * 4
        elif code in (0x00, 0x01, 0x80, 0x81, 0x60, 0x61):
            value = {0x00: k, 0x80: wire, 0x60: memory[k] if code & 0x60 == 0x60 else 0}[code & 0xFE]
            a, x = (a, value) if code & 1 else (value, x)
        elif code in (0x02, 0x03):
            memory[k] = a if code == 0x02 else x
        elif code & 7 == 4 and code != 0x84:
            b = x if code & 8 else k
            operation = code & 0xF0
            if operation in (0x30, 0x90) and b == 0:
                return 0
            a = {
                0x00: lambda a, b: a + b,
                0x10: lambda a, b: a - b,
                0x20: lambda a, b: a * b,
                0x30: lambda a, b: a // b,
                0x90: lambda a, b: a % b,
                0x50: lambda a, b: a & b,
                0x40: lambda a, b: a | b,
                0xA0: lambda a, b: a ^ b,
                0x60: lambda a, b: a << b if b < 32 else 0,
                0x70: lambda a, b: a >> b if b < 32 else 0,
            }[operation](a, b) & ALL
        elif code == 0x84:
            a = -a & ALL
        elif code == 0x05:
            jump = k - (1 << 32) if k >> 31 else k
            back += jump < 0
            if back > MOST_BACK:
                return 0
            at += jump
        elif code & 7 == 5:
            b = x if code & 8 else k
            yes = {0x10: a == b, 0x20: a > b, 0x30: a >= b, 0x40: a & b != 0}[code & 0xF0]
            at += jt if yes else jf
        elif code == 0x07:
            x = a
        elif code == 0x87:
            a = x
        elif code == 0x06:
            return k
        else:
            assert code == 0x16
            return a


VALUES = st.one_of(st.integers(0, 40), st.sampled_from([0x7FFFFFFF, 0x80000000, ALL, 31, 32, 0xFFFF]), st.integers(0, ALL))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Valid programs: everything but the last instruction may fall through or jump forward, the last returns."""
    length = draw(st.integers(0, 25))
    made: Program = []
    for i in range(length):
        kind = draw(st.integers(0, 9))
        left = length - i - 1  # a jump over so many lands on the return
        if kind <= 2:
            made.append((draw(st.sampled_from([*LOADS, *INDIRECT, 0xB1])), 0, 0, draw(st.one_of(st.integers(0, 40), VALUES))))
        elif kind == 3:
            made.append((draw(st.sampled_from(MEMORY)), 0, 0, draw(st.integers(0, 15))))
        elif kind == 4:
            made.append((draw(st.sampled_from(SIMPLE)), 0, 0, 0))
        elif kind == 5:
            made.append((draw(st.sampled_from(CONSTANTS)), 0, 0, draw(VALUES)))
        elif kind <= 7:
            code = draw(st.sampled_from(CALCULATIONS)) | draw(st.sampled_from([0, 8]))
            value = draw(VALUES)
            made.append((code, 0, 0, value or 1 if code in (0x34, 0x94) else value))
        elif kind == 8:
            jumps = st.integers(0, left)
            made.append((draw(st.sampled_from(BRANCHES)) | draw(st.sampled_from([0, 8])), draw(jumps), draw(jumps), draw(VALUES)))
        else:
            made.append(draw(st.sampled_from([(0x05, 0, 0, draw(st.integers(0, left))), (0x16, 0, 0, 0), ACCEPT])))
    return [*made, draw(st.sampled_from([(0x16, 0, 0, 0), ACCEPT, REJECT]))]


def selected(program: Program, packet: bytes, wire: int | None = None, link: int = 1) -> bool:
    """The packet between other bytes, so that a read beyond it would find some."""
    selector = Selector()
    selector.add(link, program)
    buf = np.frombuffer(b"\xff" * 64 + packet + b"\xff" * 64, np.uint8)
    frames = np.zeros(1, FRAME)
    frames["off"], frames["cap"], frames["link"] = 64, len(packet), link
    frames["wire"] = len(packet) if wire is None else wire
    return bool(selector.keep(buf, frames, 1)[0])


@given(programs(), st.binary(max_size=60), st.integers(0, ALL))
@settings(max_examples=600)
def test_any_program_does_what_the_table_says(program: Program, packet: bytes, wire: int) -> None:
    assert selected(program, packet, wire) == (interpreted(program, packet, wire) != 0)


@given(programs(), st.integers(0, 25), st.integers(0, ALL))
@settings(max_examples=300)
def test_jumps_back_end(program: Program, at: int, wire: int) -> None:
    at %= len(program)
    program.insert(at, (0x05, 0, 0, (-1 - at) & ALL))  # to the first instruction
    assert selected(program, b"\x01" * 30, 30) == (interpreted(program, b"\x01" * 30, 30) != 0)


@pytest.mark.parametrize(
    "program",
    [
        [],
        [(0x20, 0, 0, 0)],  # falls out
        [(0x05, 0, 0, 0)],
        [(0x05, 0, 0, 1), ACCEPT],  # jumps behind the end
        [(0x05, 0, 0, (-2) & ALL), ACCEPT],  # before the beginning
        [(0x05, 0, 0, 0x7FFFFFFF), ACCEPT],
        [(0x05, 0, 0, 0x80000000), ACCEPT],
        [(0x15, 1, 0, 0), ACCEPT],
        [(0x15, 0, 1, 0), ACCEPT],
        [(0x15, 255, 255, 0), ACCEPT],
        [(0x15, -2, 0, 0), ACCEPT],
        [(0x15, 256, 0, 0), *[ACCEPT] * 300],
        [(0x60, 0, 0, 16), ACCEPT],  # memory that is not there
        [(0x61, 0, 0, ALL), ACCEPT],
        [(0x02, 0, 0, 16), ACCEPT],
        [(0x03, 0, 0, 1 << 20), ACCEPT],
        [(0x34, 0, 0, 0), ACCEPT],  # division by zero
        [(0x94, 0, 0, 0), ACCEPT],
        [(0xFF, 0, 0, 0), ACCEPT],  # unknown
        [(0x18, 0, 0, 0), ACCEPT],
        [(0x20, 0, 0, -1), ACCEPT],
        [(0x20, 0, 0, 1 << 32), ACCEPT],
        [(-1, 0, 0, 0), ACCEPT],
        [ACCEPT, (0x05, 0, 0, (-2) & ALL)],  # goes on, but does not end with a return
        [ACCEPT] * (LONGEST + 1),
    ],
)
def test_programs_that_could_leave_their_bounds_are_refused(program: Program) -> None:
    with pytest.raises(ValueError, match=r"program|instruction"):
        checked(program)


def test_a_load_beyond_what_was_captured_rejects() -> None:
    for code, size in LOADS.items():
        for at in range(-2, 3):
            k = 20 - size + at
            assert selected([(code, 0, 0, k), ACCEPT], bytes(20), 1500) == (at <= 0)
    assert not selected([(0x20, 0, 0, ALL), ACCEPT], bytes(20))
    assert not selected([(0x01, 0, 0, ALL), (0x40, 0, 0, 1), ACCEPT], bytes(20))  # no wrap round to 0


def test_memory_of_one_frame_is_not_seen_by_the_next() -> None:
    remembers = [(0x60, 0, 0, 3), (0x15, 0, 1, 0), (0x05, 0, 0, 1), REJECT, (0x00, 0, 0, 7), (0x02, 0, 0, 3), ACCEPT]
    selector = Selector()
    selector.add(1, remembers)
    buf, frames = frames_of([plain_tcp()] * 5)
    assert selector.keep(buf, frames, 5).all()


def test_every_link_type_has_its_own_program() -> None:
    selector = Selector()
    selector.add(1, [ACCEPT])
    selector.add(101, [REJECT])
    buf, frames = frames_of([plain_tcp()] * 4)
    frames["link"] = 1, 101, 0xFFFFFFFF, 113
    assert selector.keep(buf, frames, 4).tolist() == [True, False, False, False]
    selector.add(113, [(0x80, 0, 0, 0), (0x16, 0, 0, 0)])
    frames["link"] = 113, 101, 1, 65535
    assert selector.keep(buf, frames, 4).tolist() == [True, False, True, False]
    for link in (-1, 1 << 16):
        with pytest.raises(ValueError, match="link type"):
            selector.add(link, [ACCEPT])


def test_moving_keeps_order_and_rows() -> None:
    selector = Selector()
    selector.add(1, [(0x80, 0, 0, 0), (0x45, 0, 1, 1), ACCEPT, REJECT])  # odd lengths
    buf, frames = frames_of([plain_tcp()] * 9)
    frames["wire"] = range(9)
    frames["ts"] = range(100, 109)
    before = frames.copy()
    places = selector.chosen(buf, frames, 8, move=True).tolist()
    assert places == [1, 3, 5, 7]
    assert (frames[:4] == before[places]).all()
    assert frames[8] == before[8]
    assert selector.chosen(buf, before, 9).tolist() == places
    assert selector.chosen(buf, before, 0).tolist() == []


@pytest.mark.parametrize("n", [-1, 5])
def test_more_frames_than_there_are(n: int) -> None:
    buf, frames = frames_of([plain_tcp()] * 4)
    with pytest.raises(ValueError, match="given"):
        Selector().chosen(buf, frames, n)


@pytest.mark.parametrize(("off", "cap"), [(-1, 10), (0, 10_000), (10_000, 0), (1 << 62, 60), (-(1 << 62), 60)])
def test_frames_outside_the_buffer_are_an_error_and_not_a_read(off: int, cap: int) -> None:
    buf, frames = frames_of([plain_tcp()])
    frames["off"], frames["cap"] = off, cap
    with pytest.raises(ValueError, match="outside"):
        Selector().chosen(buf, frames, 1)


CHECKED = """
import numpy as np
from tests.decode import test_bpf as t
from workbench.decode import bits, bpf
assert bits.CHECKED
t.test_any_program_does_what_the_table_says()
t.test_a_load_beyond_what_was_captured_rejects()
rows = bpf.checked([(0x30, 0, 0, 63), t.ACCEPT])
frames = np.zeros(1, t.FRAME)
frames["cap"], frames["link"] = 64, 1
buf = np.zeros(64, np.uint8)
def run(code, starts, chosen):
    return bpf._select(buf, frames, 1, code, starts, np.zeros(16, np.int64), chosen, False)
starts = np.zeros(2, np.int32)
assert run(rows, starts, np.zeros(1, np.int64)) == 1
try:
    run(rows, starts, np.zeros(0, np.int64))  # planted: no room for what is chosen
except IndexError:
    print("caught")
"""


@pytest.mark.slow
@pytest.mark.xdist_group(GROUP)
def test_with_bounds_checked() -> None:
    """Another process and cache folder: numba's cache ignores the flag."""
    env = {**os.environ, **checked_kernels(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CHECKED], env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.stdout.split() == ["caught"], done.stderr[-3000:]
