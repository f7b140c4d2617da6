"""Numbers out of many records at once: little-endian fields at places of a block, and the rows they go to."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.records import telemetry as r

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Rows = NDArray[np.int64]

#: No flow of a file was later (ms): a number beyond it is no time.
_LATEST: Final = 9_000_000_000_000
_MILLI: Final = 1_000_000
_IPV4: Final = 0xFFFF << 32
_LONGEST: Final = 1 << 60


def field(data: Bytes, at: Places, width: int) -> Places:
    """The unsigned number of `width` bytes (1, 2, 4 or 8) at each place, as int64 (of 8 bytes: its bit pattern).

    Every at + width must lie in `data`: fancy indexing raises where one does not, negative places must not be given.
    """
    cells = data[at[:, None] + np.arange(width)]
    return np.ascontiguousarray(cells).view(f"<u{width}")[:, 0].astype(np.int64)


def counts(data: Bytes, at: Places, width: int) -> Places:
    """The same for counters: what no counter can be stands at the bound."""
    found = field(data, at, width)
    return np.where((found < 0) | (found > _LONGEST), _LONGEST, found)


def nanos(millis: Places) -> Places:
    """Times of ms since 1970 in ns; 0 where they can be none."""
    return np.where((millis > 0) & (millis < _LATEST), millis, 0) * _MILLI


def mapped(address: Places) -> Places:
    """The lower half of an IPv4 address, mapped; 0 for 0.0.0.0, which no record means."""
    return np.where(address != 0, address | _IPV4, 0)


def blanks(count: int) -> Rows:
    """Rows of which nothing is known."""
    return np.tile(r.blank(), (count, 1))


def verdicts(status: Places) -> Places:
    """VERDICT of forwardingStatus: its upper two bits (RFC 7270), 1 forwarded, 2 dropped."""
    upper = status >> 6
    return np.where(upper == 2, r.DENIED, np.where(upper == 1, r.ALLOWED, r.ABSENT))


def positive(values: Places) -> Places:
    """ABSENT where a file says 0 for what it does not know."""
    return np.where(values > 0, values, r.ABSENT)
