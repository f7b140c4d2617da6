"""The rows of what is heard: directions that are put in order, segments that came too early, signatures, framings."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

#: One direction of a flow as long as anybody listens to it. 96 bytes.
STREAM: Final = np.dtype(
    [
        ("services", np.uint64),  # codes of what was recognised, one a byte, outermost in the lowest
        ("skip", np.int64),  # bytes still to be passed over
        ("left", np.int64),  # HTTP: bytes of the body or chunk still to come
        ("body", np.int64),  # HTTP: bytes of the body so far
        ("heads", np.int64),  # HTTP: bit i of the last 64 requests: its answer has no body
        ("since", np.int64),  # ns: packet that began what is being collected
        ("seq", np.uint32),  # the sequence number expected next
        ("have", np.int32),  # bytes collected
        ("scan", np.int32),  # of them, those that need not be looked at again
        ("count", np.int32),  # messages given
        ("answers", np.int32),  # HTTP: final responses given
        ("buffer", np.int32),  # where they are collected; -1
        ("held", np.int32),  # first row of HELD, by sequence number; -1
        ("holding", np.int16),  # how many
        ("tries", np.int16),  # datagrams that no signature fitted
        ("protocol", np.uint8),  # code in the registry; 0 not known yet
        ("sub", np.uint8),  # where inside its framing it is
        ("started", np.uint8),
        ("done", np.uint8),
        ("vouched", np.uint8),
        ("next_free", np.int32),
    ],
    align=True,
)

HELD_BYTES: Final = 2020
#: A segment, or part of one, above a hole.
HELD: Final = np.dtype(
    [
        ("ts", np.int64),
        ("seq", np.uint32),
        ("size", np.int32),
        ("next", np.int32),
        ("spare", np.int32),
        ("data", np.uint8, (HELD_BYTES + 4,)),
    ],
    align=True,
)

MOST_PORTS: Final = 8
MOST_VALUE: Final = 16
SIGNATURE: Final = np.dtype(
    [
        ("transport", np.uint8),  # IANA number
        ("protocol", np.uint8),
        ("side", np.uint8),  # 0 either, 1 the originator, 2 the responder
        ("probe", np.uint8),
        ("strong", np.uint8),
        ("size", np.uint8),
        ("port_count", np.uint8),
        (
            "lead",
            np.uint8,
        ),  # what the first byte must be under lead_mask: most signatures fail here, which must cost next to nothing
        ("lead_mask", np.uint8),
        ("at", np.int32),
        ("least", np.int32),
        ("value", np.uint8, (MOST_VALUE,)),
        ("mask", np.uint8, (MOST_VALUE,)),
        ("ports", np.uint16, (MOST_PORTS,)),
    ],
    align=True,
)

#: Row 4 * code + transport (0 TCP, 1 UDP, 2 SCTP).
FRAMING: Final = np.dtype(
    [
        ("keep", np.int64),
        ("most", np.int64),
        ("add", np.int64),
        ("mask", np.int64),
        ("scale", np.int64),
        ("at", np.int32),
        ("cut", np.uint8),
        ("width", np.uint8),
        ("little", np.uint8),
        ("order_at", np.uint8),
        ("while_set", np.uint8),
    ],
    align=True,
)

BUFFER_SHIFT: Final = 14
BUFFER: Final = 1 << BUFFER_SHIFT  # bytes that a direction can collect: more than any framing keeps
BUFFERS: Final = 4096
HELD_ROWS: Final = 8192
MOST_HOLDING: Final = 16  # rows of HELD a direction; past that the hole is given up
MOST_TRIES: Final = 2  # datagrams a direction gets to be recognised

# END.stream: 0 nothing was heard yet; number of the row + 1 while somebody listens
HEARD: Final = 0x80000000  # the row is kept for what it recognised, nobody listens
DEAF: Final = 0xFFFFFFFF  # nothing was recognised, no row

REGIONS: Final[dict[str, np.dtype[Any]]] = {"streams": STREAM, "held": HELD, "signatures": SIGNATURE, "framings": FRAMING}

COUNTS: Final = (
    "streams_used",
    "streams_free",  # heads of free lists, -1 where empty
    "held_used",
    "held_free",
    "buffers_used",
    "buffers_free",
    "message_count",
    "arena_used",
    "arena_size",
    "unheard",  # directions given up for want of room
    "holes",  # directions given up for want of bytes
    "tcp_signatures",  # where those of UDP and SCTP begin
    "udp_signatures",
    "all_signatures",
    "tls",  # code of the protocol that others switch to; 0 where there is none
    "listening",  # 1: application protocols are looked for
)
