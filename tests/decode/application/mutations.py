"""Messages that were valid once: cut, flipped, spliced."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.decode.application.feeding import Said


def _change(data: bytes, at: int, to: int, put: bytes) -> bytes:
    at, to = at % (len(data) + 1), to % (len(data) + 1)
    return data[:at] + put + data[to:]


def _flip(data: bytes, at: int, bit: int) -> bytes:
    if not data:
        return data
    made = bytearray(data)
    made[at % len(made)] ^= 1 << bit
    return bytes(made)


def mutated(valid: Sequence[bytes]) -> st.SearchStrategy[list[Said]]:
    """Lists of messages made of valid ones, from either side, whole or cut."""
    whole = st.sampled_from(list(valid))
    place = st.integers(0, 4000)
    flipped = st.builds(_flip, whole, place, st.integers(0, 7))
    data = st.one_of(
        whole,
        flipped,
        flipped,
        st.builds(_change, whole, place, place, st.binary(max_size=5)),
        st.builds(lambda a, b, at: a[: at % (len(a) + 1)] + b[at % (len(b) + 1) :], whole, whole, place),
        st.binary(max_size=40),
    )
    message = st.builds(lambda side, d, more: (side, d, len(d) + more), st.integers(0, 1), data, st.sampled_from([0, 0, 0, 900]))
    return st.lists(message, max_size=10)
