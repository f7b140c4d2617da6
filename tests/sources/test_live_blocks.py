"""Blocks of a source that arrives as it happens."""

from __future__ import annotations

import os
import threading

import pytest

from workbench.errors import SourceError
from workbench.sources.live_blocks import LiveBlocks


class _Pieces:
    """A reader that gives the pieces it is given, one a call, each when it is let."""

    def __init__(self, pieces: list[bytes], failure: Exception | None = None) -> None:
        self.pieces = pieces
        self.failure = failure
        self.let = threading.Semaphore(0)

    def readinto(self, into: memoryview, /) -> int:
        self.let.acquire()
        if not self.pieces:
            if self.failure is not None:
                raise self.failure
            return 0
        piece = self.pieces[0][: len(into)]
        into[: len(piece)] = piece
        self.pieces[0] = self.pieces[0][len(piece) :]
        if not self.pieces[0]:
            self.pieces.pop(0)
        else:
            self.let.release()
        return len(piece)


def _taken(blocks: LiveBlocks, least: int = 1) -> tuple[bytes, int]:
    block = blocks.take(10, least)
    assert block is not None
    return block.data[block.start : block.end].tobytes(), block.offset


def test_what_is_there_is_handed_out_before_the_block_is_full() -> None:
    reader = _Pieces([b"abc", b"defg"])
    blocks = LiveBlocks(reader, block=8, head=4, depth=2)
    reader.let.release()
    assert _taken(blocks) == (b"abc", 0)
    assert blocks.take(0) is None
    reader.let.release(2)
    assert _taken(blocks) == (b"defg", 3)
    assert blocks.take(10) is None
    assert blocks.over


def test_every_byte_comes_once_and_in_order_through_few_buffers() -> None:
    data = os.urandom(10_000)
    reader = _Pieces([data[i : i + 37] for i in range(0, len(data), 37)])
    blocks = LiveBlocks(reader, block=64, head=16, depth=2)
    reader.let.release(10_000)
    got = b""
    while not blocks.over:
        block = blocks.take(1)
        if block is not None:
            assert block.offset == len(got)
            got += block.data[block.start : block.end].tobytes()
    assert got == data


def test_less_than_is_wanted_waits_unless_the_source_is_over() -> None:
    reader = _Pieces([b"abc", b"def"])
    blocks = LiveBlocks(reader, block=64, head=4, depth=2)
    reader.let.release()
    assert blocks.take(0.01, 5) is None
    reader.let.release()
    assert _taken(blocks, 5) == (b"abcdef", 0)
    short = _Pieces([b"abc"])
    blocks = LiveBlocks(short, block=64, head=4, depth=2)
    short.let.release(2)
    assert _taken(blocks, 5) == (b"abc", 0)


def test_a_failure_comes_behind_every_byte_that_was_good() -> None:
    reader = _Pieces([b"abc"], SourceError("broken", ""))
    blocks = LiveBlocks(reader, block=64, head=4, depth=2)
    reader.let.release(2)
    assert _taken(blocks) == (b"abc", 0)
    with pytest.raises(SourceError, match="broken"):
        blocks.take(10)


def test_a_slow_taker_holds_the_reader_back() -> None:
    reader = _Pieces([b"x" * 100])
    blocks = LiveBlocks(reader, block=10, head=4, depth=2)
    reader.let.release(100)
    assert _taken(blocks)[1] == 0
    assert blocks.behind <= 20
    blocks.close()
