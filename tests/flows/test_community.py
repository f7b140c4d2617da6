from __future__ import annotations

import base64
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.flows.community import ID_LENGTH, LANES, community_ids, sha1_blocks

Row = tuple[int, int, int, int, int, int]  # source, destination, ports, protocol, kind
MAPPED = 0xFFFF << 32


def ids(rows: list[Row]) -> list[str]:
    addresses = np.array(
        [
            [r[0] >> 64 for r in rows],
            [r[0] & 2**64 - 1 for r in rows],
            [r[1] >> 64 for r in rows],
            [r[1] & 2**64 - 1 for r in rows],
        ],
        np.uint64,
    ).reshape(4, -1)
    numbers = np.array([[r[2] for r in rows], [r[3] for r in rows], [r[4] for r in rows]], np.int32).reshape(3, -1)
    data = np.zeros(len(rows) * ID_LENGTH, np.uint8)
    community_ids(addresses, numbers, np.array([r[5] for r in rows], np.uint8), data)
    text = data.tobytes().decode()
    return [text[i : i + ID_LENGTH] for i in range(0, len(text), ID_LENGTH)]


def plain(row: Row) -> str:
    """Straight from the specification."""
    src, dst, sport, dport, proto, kind = row
    four = src >> 32 == 0xFFFF and dst >> 32 == 0xFFFF
    a, b = ((x & 0xFFFFFFFF).to_bytes(4) if four else x.to_bytes(16) for x in (src, dst))
    ends = [(a, sport), (b, dport)]
    if not kind & 2:
        ends.sort(key=lambda e: e if kind & 1 else (e[0], 0))
    message = struct.pack(">H", 0) + ends[0][0] + ends[1][0] + bytes((proto, 0))
    if kind & 1:
        message += struct.pack(">HH", ends[0][1], ends[1][1])
    return "1:" + base64.b64encode(hashlib.sha1(message).digest()).decode()


def four(text: str) -> int:
    a, b, c, d = map(int, text.split("."))
    return MAPPED | a << 24 | b << 16 | c << 8 | d


@pytest.mark.parametrize(
    ("row", "want"),
    [
        ((four("128.232.110.120"), four("66.35.250.204"), 34855, 80, 6, 1), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ((four("66.35.250.204"), four("128.232.110.120"), 80, 34855, 6, 1), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ],
)
def test_the_vector_of_the_specification(row: Row, want: str) -> None:
    assert ids([row]) == [want]


ADDRESS = st.one_of(
    st.integers(0, 2**128 - 1), st.integers(MAPPED, MAPPED | 0xFFFFFFFF), st.sampled_from((MAPPED | 1, MAPPED | 2, 1, 2))
)
PORT = st.integers(0, 65535)


@given(st.lists(st.tuples(ADDRESS, ADDRESS, PORT, PORT, st.integers(0, 255), st.integers(0, 3)), max_size=2 * LANES + 3))
def test_as_the_specification_says(rows: list[Row]) -> None:
    assert ids(rows) == [plain(r) for r in rows]


@given(st.lists(st.binary(min_size=0, max_size=55), min_size=LANES, max_size=LANES))
def test_every_lane_is_sha1(messages: list[bytes]) -> None:
    w = np.zeros((80, LANES), np.uint32)
    for lane, m in enumerate(messages):
        block = m + b"\x80" + b"\0" * (55 - len(m)) + struct.pack(">Q", 8 * len(m))
        w[:16, lane] = struct.unpack(">16I", block)
    h = np.zeros((5, LANES), np.uint32)
    sha1_blocks(w, h)
    assert [h[:, i].astype(">u4").tobytes() for i in range(LANES)] == [hashlib.sha1(m).digest() for m in messages]
