"""Blocks of a source that arrives as it happens: what is there is handed out, whole block or not.

As `blocks`, a thread fills buffers with head room. Here the consumer may ask for what stands in the buffer that is just
being filled, and gets the rest of it later: pieces of one buffer lie one behind another, so nothing is copied, and the
cut tail of one piece already stands in front of the next. Where the consumer is slow the buffers fill up, then the pipe,
then the kernel's buffer of the capturing program: only then are packets lost, and that program counts them.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.sources.blocks import BLOCK, HEAD, Block, Readable

DEPTH: Final = 12


@dataclass(slots=True)
class _Buffer:
    """end: filled up to there; taken: handed out up to there; full: nothing more comes into it."""

    data: NDArray[np.uint8]
    offset: int
    end: int
    taken: int
    full: bool = False


class LiveBlocks:
    """Take what has arrived of a reader. Memory: (head + block) x depth.

    A block is the caller's until the next `take`.
    """

    def __init__(self, reader: Readable, *, block: int = BLOCK, head: int = HEAD, depth: int = DEPTH) -> None:
        self._reader = reader
        self._block = block
        self._head = head
        self._condition = threading.Condition()
        self._free = [np.empty(head + block, np.uint8) for _ in range(depth)]
        self._filled: deque[_Buffer] = deque()  # the last one may still be being filled
        self._over = False
        self._closed = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="live-read", daemon=True)
        self._thread.start()

    def take(self, seconds: float, least: int = 1) -> Block | None:
        """What has arrived since the last call, waiting for it at most so long; None where that is less than `least` bytes.

        At the end of the source, and of a buffer, it may be less all the same.
        Raises what the reader raised, behind every byte that was read before.
        """
        with self._condition:
            self._release()
            self._condition.wait_for(lambda: self._arrived(least) or self._over, seconds)
            if not self._arrived(1 if self._over else least):
                if self._failure is not None:
                    raise self._failure
                return None
            buffer = self._filled[0]
            found = Block(buffer.data, buffer.taken, buffer.end, buffer.offset + buffer.taken - self._head, 1)
            buffer.taken = buffer.end
            return found

    @property
    def over(self) -> bool:
        """Whether the source has ended and everything of it was taken."""
        with self._condition:
            return self._over and not self._waiting()

    @property
    def behind(self) -> int:
        """Bytes that were read and not yet taken."""
        with self._condition:
            return sum(b.end - b.taken for b in self._filled)

    def close(self) -> None:
        """Stop reading; the rest is left unread. A read that waits for bytes ends with the next ones."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _waiting(self) -> bool:
        return any(b.end > b.taken for b in self._filled)

    def _arrived(self, least: int) -> bool:
        """As `_waiting`, at the front of what was filled: what was taken before is given back."""
        self._release()
        if not self._filled:
            return False
        first = self._filled[0]
        return first.end - first.taken >= (1 if first.full else least)

    def _release(self) -> None:
        """Give buffers back of which everything was taken and in use; the newest stays while it is being filled."""
        while self._filled and self._filled[0].full and self._filled[0].taken == self._filled[0].end:
            self._free.append(self._filled.popleft().data)
            self._condition.notify_all()

    def _read(self) -> None:
        offset = 0
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._free or self._closed)
                if self._closed:
                    self._over = True
                    return
                buffer = _Buffer(self._free.pop(), offset, self._head, self._head)
                self._filled.append(buffer)
            more = self._fill(buffer)
            offset += buffer.end - self._head
            with self._condition:
                buffer.full = True
                self._over = not more
                self._condition.notify_all()
            if not more:
                return

    def _fill(self, buffer: _Buffer) -> bool:
        """Fill one buffer; whether the source goes on."""
        view = buffer.data.data
        while buffer.end < len(view):
            try:
                n = self._reader.readinto(view[buffer.end :])
            except BaseException as failure:  # raised again in the consumer's thread
                self._failure = failure
                return False
            if n == 0 or self._closed:
                return False
            with self._condition:
                buffer.end += n
                self._condition.notify_all()
        return True
