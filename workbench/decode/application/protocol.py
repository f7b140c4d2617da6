"""What an application protocol tells the engine: how to know it, how to cut it into messages, who reads them.

A protocol is one module of this package with a constant PROTOCOL; its table stands in `records.application`. Nothing else has
to be touched: the registry finds it.

1. `signatures` know it by its content. The flow table tries them on the first bytes of each direction of a flow, in order.
2. `framing` cuts the direction into units; the first bytes of each (`keep`) become a message. What lies behind them, and
   every payload, is counted and passed over: it is never copied.
3. A reader takes the messages of one flow (`reader`), or one object those of a whole source at a time (`batch`), which the
   protocols do that make up most of the traffic.

A reader may be given any bytes. It never trusts a length, never recurses by depth of the input, holds at most MOST_HELD bytes
and MOST_WAITING open requests a flow; what is malformed is a Malformed, which the engine counts in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

#: Bytes and open requests that one reader may hold for one flow.
MOST_HELD: Final = 65_536
MOST_WAITING: Final = 256
#: Characters of a text taken from the wire that a column keeps.
MOST_TEXT: Final = 1_024

#: A row for a table: its columns without flow_id; `ts` in microseconds since 1970.
Row: TypeAlias = tuple[str, dict[str, Any]]


class Malformed(Exception):  # noqa: N818  said of the bytes, not of us
    """The bytes are not what their protocol allows. The text says what and where, without a byte of them."""


class Cut(IntEnum):
    """How a direction is cut into messages."""

    DATAGRAM = 0  # UDP and others: each datagram is one
    HEAD = 1  # its first `keep` bytes are the only one; given when they are there, or the flow ends
    LENGTH = 2  # units with their length at a fixed place
    BER = 3  # units of ASN.1 BER: tag and length
    LINES = 4  # lines that end in LF
    HTTP = 5  # heads of requests and responses; bodies by Content-Length, chunks, or the end
    TLS = 6  # handshake records up to the first that is encrypted: one message, the records as they came
    SSH = 7  # the banner; then binary packets while they are in the clear


@dataclass(frozen=True, slots=True)
class Framing:
    """How a direction is cut. keep: bytes of each unit that are kept; most: messages a direction gives, others are passed over.

    DATAGRAM: with `while_set`, the direction is over at the first datagram whose first byte has none of these bits.
    LENGTH: the unit is `number + add` bytes, where the number has `width` bytes (1 to 4, its upper bits masked away by
    `mask`) at offset `at`; little: least significant byte first; order_at: offset, before `at`, of a byte whose bit 0x10 says so
    instead (DCE/RPC); `scale`: units of the number in bytes.
    """

    cut: Cut
    keep: int = 4096
    most: int = 1_000_000
    at: int = 0
    width: int = 2
    add: int = 0
    mask: int = 0xFFFFFFFF
    scale: int = 1
    little: bool = False
    order_at: int = 0
    while_set: int = 0


class Probe(IntEnum):
    """A test in the engine beyond comparing bytes; asked where a signature's bytes agree."""

    NONE = 0
    DNS = 1  # a plausible header and first name (RFC 1035, 4.1)
    DNS_TCP = 2  # the same behind two bytes of length
    BER = 3  # a definite BER length that fits the datagram; in a stream, at most 64 KiB
    RECORD = 4  # four bytes of length, then a BER tag (Kerberos over TCP)
    TEXT = 5  # printable ASCII up to the first line end, or to the end of what is there
    QUIC = 6  # a long header of an Initial packet, versions 1 and 2 and drafts (RFC 9000, 17.2)
    TLS = 7  # a handshake record with a hello (RFC 8446, 5.1)
    SSH = 8  # a version behind the prefix
    HTTP = 9  # a method, a space, a target; and a version, unless it is GET with a path
    NTP = 10  # version and mode that exist, and a length that is right (RFC 5905)
    DTLS = 11
    NBNS = 12  # as DNS, with every opcode (RFC 1002, 4.2.1.1)
    RTCP = 13  # packets that fill the datagram (RFC 3550, 6.1)
    IRC = 14  # USER with four parameters, or a server's line (RFC 2812)


@dataclass(frozen=True, slots=True)
class Signature:
    """Bytes by which a protocol is known at the start of a direction (or of a datagram).

    value at offset `at`, compared under `mask` (as long as value; None = every bit). least: bytes that must be there first.
    side: only what this end says: "src", "dst". ports: only where one of both ports is among them: for formats whose content
    alone says too little, never instead of the content. strong: the bytes leave no doubt: the flow's service is noted before
    anybody has read a message.
    """

    transport: Literal["tcp", "udp", "sctp"]
    value: bytes = b""
    at: int = 0
    mask: bytes | None = None
    least: int = 0
    side: Literal["src", "dst"] | None = None
    ports: tuple[int, ...] = ()
    probe: Probe = Probe.NONE
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a flow. ts: microseconds; side: 0 the originator said it, 1 the responder; number: counts on its side.

    whole: bytes of the unit on the wire, of which `data` are the first.
    """

    ts: int
    side: int
    data: bytes
    whole: int
    number: int = 0

    @property
    def cut(self) -> bool:
        """Whether bytes of the unit are missing."""
        return len(self.data) < self.whole


def _unkeyed(_value: str | bytes) -> str:
    raise RuntimeError("no key was given")


@dataclass(frozen=True, slots=True)
class Context:
    """What a reader knows of its flow. hashed: 32 hex digits under the case's key, for what must not be kept as it is."""

    transport: Literal["tcp", "udp", "sctp"] = "tcp"
    src_port: int = 0
    dst_port: int = 0
    hashed: Callable[[str | bytes], str] = _unkeyed


class Reader(Interface):
    """Reads the messages of one flow, both directions, in the order in which they became complete.

    services: what was recognised so far, outermost first (``["smb", "dcerpc"]``); empty while, or if, it is not this
    protocol. Raises Malformed, from which the engine goes on with the next message.
    """

    services: list[str]

    def message(self, message: Message) -> Iterable[Row]:
        """Rows that this message completes."""

    def end(self) -> Iterable[Row]:
        """The flow ended: rows of what was never answered."""


@dataclass(slots=True)
class Read:
    """What a batch reader made of messages.

    tables: by name, columns in Arrow; of them `n` (int64, the flow's number) and `ts` (int64, us) as NumPy arrays. seen: by
    message, 1 where it was of the protocol. malformed: how many were not well-formed. also: further services by message.
    """

    tables: dict[str, dict[str, pa.Array | NDArray[Any]]] = field(default_factory=dict)
    seen: NDArray[np.uint8] | None = None
    malformed: int = 0
    also: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


class BatchReader(Interface):
    """Reads the messages of all flows of one source, many at a time."""

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """rows: MESSAGE rows of this protocol since the last call, in order, bytes in `arena` (valid during the call only).

        ended: sorted numbers of flows that ended since the last call. What waits for an answer is held until its flow ends or
        half a minute has passed, and bounded.
        """


@dataclass(frozen=True, slots=True)
class Protocol:
    """One application protocol.

    tables: the tables its rows go into (empty: it is only recognised). ports: where it is at home, so that a flow which
    contradicts its port can say so (`homes`). guests: protocols that are as much at home on these ports. stays: it is hardly
    ever anywhere else on purpose, so that it is said wherever it is away from home. `reader` or `batch`, or neither.
    """

    name: str
    title: str
    framing: Mapping[str, Framing] | Framing
    signatures: Sequence[Signature]
    tables: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    guests: tuple[str, ...] = ()
    stays: bool = False
    reader: Callable[[Context], Reader] | None = None
    batch: Callable[[Context], BatchReader] | None = None
    reference: str = ""

    def framed(self, transport: str) -> Framing:
        """The framing over a transport; KeyError where it has none."""
        return self.framing if isinstance(self.framing, Framing) else self.framing[transport]


def text(data: bytes, limit: int = MOST_TEXT) -> str:
    """Text as it can be kept: UTF-8, what is none as a backslash escape, without NUL, cut at `limit` characters."""
    return data[: 4 * limit].decode("utf-8", "backslashreplace").replace("\0", "\\x00")[:limit]
