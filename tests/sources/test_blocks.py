import hashlib
import io
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import SourceError
from workbench.sources.blocks import Blocks


class Dribble(io.BytesIO):
    """A reader that gives at most `step` bytes at a time, as pipes and decompressors do."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self.step = step

    def readinto(self, into, /):  # type: ignore[no-untyped-def]
        return super().readinto(memoryview(into)[: self.step])


class Failing(Dribble):
    """Fails once its bytes are out."""

    def readinto(self, into, /):  # type: ignore[no-untyped-def]
        n = super().readinto(into)
        if n == 0:
            raise SourceError("cut at byte 10", "Copy it again.")
        return n


def read(blocks: Blocks) -> tuple[bytes, list[int]]:
    out, offsets = b"", []
    for block in blocks:
        offsets.append(block.offset)
        assert block.offset == len(out)
        out += block.data[block.start : block.end].tobytes()
    return out, offsets


@given(data=st.binary(max_size=5000), step=st.integers(1, 700), block=st.integers(1, 1000), depth=st.integers(1, 4))
def test_every_byte_comes_in_order_and_the_hash_is_of_all(data: bytes, step: int, block: int, depth: int) -> None:
    blocks = Blocks(Dribble(data, step), sha256=True, block=block, head=16, depth=depth)
    out, offsets = read(blocks)
    assert out == data
    assert offsets == list(range(0, len(data), block))
    assert blocks.digest() == hashlib.sha256(data).hexdigest()


def test_an_error_comes_behind_the_bytes_that_were_there() -> None:
    blocks = Blocks(Failing(b"0123456789", 3), sha256=False, block=4, head=0, depth=2)
    got = []
    whole = (block.data[block.start : block.end].tobytes() for block in blocks)
    with pytest.raises(SourceError, match="cut at byte 10"):
        got.extend(whole)
    assert b"".join(got) == b"0123456789"


def test_the_head_room_belongs_to_the_caller() -> None:
    blocks = Blocks(Dribble(b"abcdef", 6), sha256=True, block=3, head=2, depth=2)
    seen = []
    tail = np.empty(0, np.uint8)
    for block in blocks:
        start = block.start - len(tail)
        block.data[start : block.start] = tail
        seen.append(block.data[start : block.end].tobytes())
        tail = block.data[block.end - 1 : block.end].copy()
    assert seen == [b"abc", b"cdef"]
    assert blocks.digest() == hashlib.sha256(b"abcdef").hexdigest()


def test_closing_early_ends_the_reading() -> None:
    source = Dribble(bytes(1000), 10)
    blocks = Blocks(source, sha256=False, block=10, head=0, depth=2)
    next(iter(blocks))
    blocks.close()
    for thread in blocks._threads:
        thread.join(5)
        assert not thread.is_alive()
    assert source.tell() < 1000


def test_without_a_hash_there_is_none() -> None:
    blocks = Blocks(Dribble(b"x", 1), sha256=False)
    assert read(blocks) == (b"x", [0])
    assert blocks.digest() is None


class Silent(io.RawIOBase):
    """Gives what it has, then blocks as an idle pipe does, until it is let go."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.waiting = threading.Event()
        self.go = threading.Event()

    def readinto(self, into, /):  # type: ignore[no-untyped-def]
        n = min(len(self.data), len(into), 3)
        if n == 0:
            self.waiting.set()
            self.go.wait(30)
        into[:n] = self.data[:n]
        self.data = self.data[n:]
        return n


@pytest.mark.parametrize("data", [b"", b"ab", b"0123456789", b"0123456789abcdef"])
def test_a_silent_source_can_be_left_with_all_it_gave(data: bytes) -> None:
    source = Silent(data)
    blocks = Blocks(source, sha256=True, block=8, head=2, depth=3)
    got = [(b.offset, b.data[b.start : b.end].tobytes()) for b in blocks.until(source.waiting.is_set)]
    assert b"".join(part for _, part in got) == data
    assert [offset for offset, _ in got] == list(range(0, len(data), 8))
    blocks.close()
    source.go.set()


@given(data=st.binary(max_size=3000), step=st.integers(1, 700), block=st.integers(1, 1000))
def test_until_is_as_iterating_where_nobody_stops_it(data: bytes, step: int, block: int) -> None:
    blocks = Blocks(Dribble(data, step), sha256=True, block=block, head=16, depth=3)
    assert b"".join(b.data[b.start : b.end].tobytes() for b in blocks.until(lambda: False)) == data
    assert blocks.digest() == hashlib.sha256(data).hexdigest()


def test_until_raises_what_the_reader_raised() -> None:
    blocks = Blocks(Failing(b"0123456789", 3), sha256=False, block=4, head=0, depth=2)
    with pytest.raises(SourceError, match="cut at byte 10"):
        list(blocks.until(lambda: False))
