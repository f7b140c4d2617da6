"""Read-ahead: a thread fills a ring of buffers, hashing beside, while the caller works on the last one.

Each buffer is ``[head | block]``. The head is room for the bytes of a record that the previous block
ended in the middle of: the caller moves that tail (a few hundred bytes) in front of the new block and
goes on with one contiguous range, so no block is ever copied. Memory: (head + block) x depth.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 4 << 20
HEAD: Final = 1 << 20
DEPTH: Final = 8
#: Seconds of silence after which `until` asks whether to go on waiting.
IDLE: Final = 0.2


class Readable(Protocol):
    """What Blocks needs of a byte source."""

    def readinto(self, into: memoryview, /) -> int:
        """Fill the start of `into`; 0 at the end."""


@dataclass(slots=True)
class Block:
    """Bytes [start, end) of `data`; `offset` is where data[start] stands in the stream."""

    data: NDArray[np.uint8]
    start: int
    end: int
    offset: int
    uses: int


class Blocks:
    """Iterate over the blocks of a reader, filled ahead by a thread; hash them on another if asked.

    A block is the caller's until the next one is asked for. An exception of the reader is raised
    after every block read before it was handed out. `digest()` waits for the hash.
    """

    def __init__(self, reader: Readable, *, sha256: bool, block: int = BLOCK, head: int = HEAD, depth: int = DEPTH) -> None:
        self._reader = reader
        self._block = block
        self._head = head
        self._free: SimpleQueue[NDArray[np.uint8] | None] = SimpleQueue()
        self._ready: SimpleQueue[Block | BaseException | None] = SimpleQueue()
        self._to_hash: SimpleQueue[Block | None] = SimpleQueue()
        self._hash = hashlib.sha256() if sha256 else None
        self._uses = 2 if sha256 else 1
        self._lock = threading.Lock()
        self._filling: Block | None = None
        self._abandoned = False
        for _ in range(depth):
            self._free.put(np.empty(head + block, np.uint8))
        self._threads = [threading.Thread(target=self._read, name="read-ahead", daemon=True)]
        if sha256:
            self._threads.append(threading.Thread(target=self._digest, name="sha256", daemon=True))
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Block]:
        while True:
            item = self._ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
            self._release(item)

    def until(self, stop: Callable[[], bool]) -> Iterator[Block]:
        """As iterating, but `stop` is asked while nothing arrives; once it is true, what was read of the next block is the last.

        For sources that can fall silent: pipes, standard input. There is no digest after an early end.
        """
        while True:
            try:
                item = self._ready.get(timeout=IDLE)
            except Empty:
                if not stop():
                    continue
                with self._lock:
                    if not self._ready.empty():
                        continue
                    self._abandoned = True
                    last = self._filling
                if last is not None and last.end > last.start:
                    yield last
                return
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
            self._release(item)

    def digest(self) -> str | None:
        """SHA-256 of all bytes read, in hex; None where it was not asked for. Waits for it."""
        if self._hash is None:
            return None
        self._threads[1].join()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Stop reading ahead; the rest of the reader is left unread."""
        self._free.put(None)

    def _release(self, block: Block) -> None:
        with self._lock:
            block.uses -= 1
            done = block.uses == 0
        if done:
            self._free.put(block.data)

    def _read(self) -> None:
        offset = 0
        failure: BaseException | None = None
        while failure is None and (data := self._free.get()) is not None:
            block = self._filling = Block(data, self._head, self._head, offset, self._uses)
            ended, failure = self._fill(data.data[self._head :], block)
            offset += block.end - block.start
            if block.end > block.start:
                with self._lock:
                    if self._abandoned:
                        break
                    self._filling = None
                    self._ready.put(block)
                if self._hash is not None:
                    self._to_hash.put(block)
            if ended:
                break
        self._to_hash.put(None)
        self._ready.put(failure)

    def _fill(self, view: memoryview, block: Block) -> tuple[bool, BaseException | None]:
        """Fill a whole block where the source gives short reads (pipes, decompressors); whether it ended, and how.

        `block.end` moves behind every piece, so that `until` can take what there is.
        """
        got = 0
        while got < len(view):
            try:
                n = self._reader.readinto(view[got:])
            except BaseException as failure:
                return True, failure  # raised in the consumer's thread, behind the bytes that were there
            if n == 0:
                return True, None
            got += n
            block.end = block.start + got
        return False, None

    def _digest(self) -> None:
        assert self._hash is not None
        while (block := self._to_hash.get()) is not None:
            self._hash.update(block.data[block.start : block.end].data)
            self._release(block)
