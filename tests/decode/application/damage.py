"""Damages valid messages the way captures and attackers do: cut, flipped, spliced, repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from workbench.decode.application.protocol import Malformed, Message, Reader, Row


@st.composite
def damaged(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """One of the valid messages after a few changes."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        change = draw(st.sampled_from(("cut", "flip", "fill", "splice", "insert")))
        if change == "cut":
            del data[place:]
        elif change == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "fill":
            data[place : place + 4] = draw(st.sampled_from((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0")))
        elif change == "splice":
            data[place:] = draw(st.sampled_from(valid))[place:]
        else:
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
    return bytes(data)


def conversation(valid: Sequence[bytes]) -> st.SearchStrategy[list[tuple[int, bytes, int]]]:
    """Messages in any order: side, bytes, bytes that are missing behind them."""
    return st.lists(st.tuples(st.integers(0, 1), damaged(valid), st.sampled_from((0, 0, 0, 1, 5000))), max_size=12)


def survive(reader: Reader, said: list[tuple[int, bytes, int]], check: Callable[[Row], None]) -> None:
    """Hands everything over; nothing but Malformed may come out, and each row be one of its table."""
    for number, (side, data, missing) in enumerate(said):
        try:
            rows = list(reader.message(Message(1_000 * number, side, data, len(data) + missing, number)))
        except Malformed:
            continue
        for row in rows:
            check(row)
    for row in reader.end():
        check(row)
