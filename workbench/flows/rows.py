"""The rows of the flow table and the memory they stand in.

A flow is one HOT row (two cache lines: key, times, counters), two END rows (one line each: what TCP
knows of an endpoint) and one COLD row (what is written once). All are indexed by the flow's slot.
The arrays have their full size from the start but cost memory only where they were touched: the
kernel hands out pages on first write, so the table grows without copying and without a stall.
"""

from __future__ import annotations

import mmap
from typing import Any, Final, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from workbench.records.packet import PACKET

#: Touched by every packet. bits: two nibbles of endpoint bits (END_*), originator in the lower one.
HOT: Final = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("network", np.uint64),  # scope of the key, see `network_key`
        ("last", np.int64),  # ns: the last packet that counts as activity (Zeek's last_time)
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("proto", np.uint8),
        ("marks", np.uint8),  # CONN_*
        ("src_state", np.uint8),  # state | previous state << 4
        ("dst_state", np.uint8),
        ("bits", np.uint8),
        ("ports", np.uint8),  # 1: src_port and dst_port mean something
        ("letters", np.uint16),  # length of the history
        ("seen", np.uint16),  # history bits: SEEN_* | SEEN_* << 8 for the responder
        ("minute", np.uint16),  # minutes of its life already given to flow_slices
        ("first", np.int64),  # ns: first packet
        ("end", np.int64),  # ns: latest packet
        ("src_pkts", np.int64),
        ("dst_pkts", np.int64),
        ("src_bytes", np.int64),
        ("dst_bytes", np.int64),
        ("last_offset", np.int64),
        ("deadline", np.int64),  # ns: when it ends whatever comes; NEVER where nothing is due
    ],
    align=True,
)

#: One endpoint (TCP); `payload` serves all other transports. Sequence numbers are relative where said.
END: Final = np.dtype(
    [
        ("payload", np.int64),  # payload bytes by the headers (UDP, ICMP and others)
        ("start", np.uint32),
        ("last", np.uint32),  # one past the highest sequence number sent
        ("ack", np.uint32),  # highest acknowledgement of what this endpoint sent
        ("seq_wraps", np.uint16),
        ("ack_wraps", np.uint16),
        ("hist_syn", np.uint32),
        ("hist_fin", np.uint32),
        ("hist_rst", np.uint32),
        ("delivered", np.uint32),  # relative: everything below was seen or given up
        ("trimmed", np.uint32),  # relative: everything below was acknowledged
        ("top", np.uint32),  # relative: one past the highest byte seen
        ("fin_seq", np.uint32),  # relative: one past the FIN
        ("retransmits", np.uint32),
        ("zero_windows", np.uint16),
        ("bad_sums", np.uint16),
        ("gaps", np.uint16),
        ("flags", np.uint16),  # TCP flags, ORed
    ],
    align=True,
)

#: Written when the flow starts and ends, and on rare events.
COLD: Final = np.dtype(
    [
        ("n", np.int64),
        ("first_offset", np.int64),
        ("src_mac", np.int64),
        ("dst_mac", np.int64),
        ("syn", np.int64),  # ns of the originator's latest SYN; 0 where none
        ("rtt_us", np.int32),  # -1 where unknown
        ("vni", np.int32),
        ("outer", np.int32),  # row of OUTER, -1 where not tunnelled
        ("slice", np.int32),  # row of SLICE, -1 where younger than a minute
        ("src_holes", np.int32),  # row of HOLES, -1 where nothing is out of order
        ("dst_holes", np.int32),
        ("more_letters", np.int32),  # first row of LETTERS, -1 where the history fits
        ("vlan", np.int16),
        ("inner_vlan", np.int16),
        ("blocks", np.uint16),  # bit i: block first + i holds packets; first 16 blocks
        ("listing", np.uint8),  # 1: spans more than 64 MiB, blocks are listed as they come
        ("reason", np.uint8),  # end_reason once ended
        ("history", np.uint8, (16,)),
    ],
    align=True,
)

#: Outer side of a tunnelled flow, as the originator's packets carry it.
OUTER: Final = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("src_mac", np.int64),
        ("dst_mac", np.int64),
        ("tunnel", np.uint64),
        ("vlan", np.int32),
        ("next_free", np.int32),
    ],
    align=True,
)

#: Counters of a flow older than a minute as they were when its current slice began.
SLICE: Final = np.dtype(
    [
        ("src_pkts", np.int64),
        ("dst_pkts", np.int64),
        ("src_bytes", np.int64),
        ("dst_bytes", np.int64),
        ("minute", np.int32),
        ("next_free", np.int32),
    ],
    align=True,
)

#: Data above a hole: sorted, disjoint ranges of relative sequence numbers.
HOLES: Final = np.dtype(
    [("count", np.int32), ("next_free", np.int32), ("low", np.uint32, (31,)), ("high", np.uint32, (31,))], align=True
)

#: History beyond the first 16 letters: chained rows.
LETTERS: Final = np.dtype([("next", np.int32), ("text", np.uint8, (60,))], align=True)

#: First fragments waiting for their later ones: 4-way sets by hash.
FRAGMENT: Final = np.dtype(
    [("key", np.uint64), ("ts", np.int64), ("n", np.int64), ("slot", np.int32), ("proto", np.int32)], align=True
)

#: Sums of the outer side, one row per endpoints, kind and network id (one direction).
TUNNEL: Final = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("tunnel", np.uint64),  # 0: the row is free
        ("vni", np.int64),
        ("first", np.int64),
        ("last", np.int64),
        ("packets", np.int64),
        ("bytes", np.int64),
    ],
    align=True,
)

#: Rows that are complete while their flow goes on.
SLICE_ROW: Final = np.dtype(
    [
        ("n", np.int64),
        ("ts", np.int64),
        ("src_pkts", np.int64),
        ("dst_pkts", np.int64),
        ("src_bytes", np.int64),
        ("dst_bytes", np.int64),
    ],
    align=True,
)
BLOCK_ROW: Final = np.dtype([("n", np.int64), ("block", np.int64)], align=True)
ARP_ROW: Final = np.dtype(
    [
        ("ts", np.int64),
        ("network", np.uint64),
        ("operation", np.int64),
        ("src_mac", np.int64),
        ("dst_mac", np.int64),
        ("src_ip", np.uint64),
        ("dst_ip", np.uint64),
        ("eth_src", np.int64),
        ("eth_dst", np.int64),
        ("vlan", np.int64),
        ("offset", np.int64),
    ],
    align=True,
)

NEVER: Final = np.iinfo(np.int64).max
INLINE_LETTERS: Final = 16
CHAINED_LETTERS: Final = 60
MAX_LETTERS: Final = 4096  # a longer history is cut there: 4096 control packets tell the story
MAX_RANGES: Final = 31
NANOS: Final = 1_000_000_000
MINUTE: Final = 60 * NANOS
BLOCK_SHIFT: Final = 22  # 4 MiB
BITMAP_BLOCKS: Final = 16  # 64 MiB

# HOT.marks
CONN_OPEN: Final = 1
CONN_SRC_SEEN: Final = 2  # a packet of the originator was processed
CONN_DST_SEEN: Final = 4
CONN_PARTIAL: Final = 8  # joined mid-stream
CONN_DEFERRED: Final = 16  # a close waits for data still missing
CONN_SETTLED: Final = 32  # handshake over: the long TCP timeout holds
CONN_ATTEMPT: Final = 64  # the deadline holds only while nobody answers
CONN_ONE_WAY: Final = 128  # an ICMP type without a counterpart

# nibbles of HOT.bits
END_FIN: Final = 1
END_CLOSED: Final = 2
END_EOF: Final = 4
END_SKIP: Final = 8

# HOT.seen, one byte a side
SEEN_SYN: Final = 1
SEEN_FIN: Final = 2
SEEN_RST: Final = 4
SEEN_FIN_RST: Final = 8
SEEN_DATA: Final = 16
SEEN_ACK: Final = 32
SEEN_MULTI: Final = 64

# Endpoint states of TCP, numbered as Zeek numbers them; UDP and others: ACTIVE once a packet was good.
INACTIVE: Final = 0
SYN_SENT: Final = 1
SYN_ACK_SENT: Final = 2
PARTIAL: Final = 3
ESTABLISHED: Final = 4
CLOSED: Final = 5
RESET: Final = 6
ACTIVE: Final = 1

# IPFIX flowEndReason (RFC 5102, 5.11.3)
REASON_IDLE: Final = 1
REASON_END: Final = 3
REASON_FORCED: Final = 4
REASON_RESOURCES: Final = 5

# Places in State.counts
C_SLOTS: Final = 0  # slots ever used (high-water mark)
C_FREE: Final = 1  # slots on the free list
C_OPEN: Final = 2
C_ENDED: Final = 3
C_FLOWS: Final = 4  # flows ever: the next n
C_PACKETS: Final = 5  # packets in flows
C_ARP: Final = 6
C_ORPHANS: Final = 7
C_SEEN: Final = 8  # packets seen, of any status
C_HAND: Final = 9  # where the sweep goes on
C_EVICT: Final = 10  # where eviction goes on
C_EVICTED: Final = 11
C_TS_FIRST: Final = 12
C_TS_LAST: Final = 13
C_TS_PREVIOUS: Final = 14
C_BITS: Final = 15  # the index has 2 ** this entries
C_OUTER: Final = 16  # rows of OUTER ever used
C_OUTER_FREE: Final = 17  # head of its free list, -1 where empty
C_SLICE: Final = 18
C_SLICE_FREE: Final = 19
C_HOLES: Final = 20
C_HOLES_FREE: Final = 21
C_LETTERS: Final = 22
C_LETTERS_FREE: Final = 23
C_SLICE_ROWS: Final = 24
C_BLOCK_ROWS: Final = 25
C_ARP_ROWS: Final = 26
C_TUNNELS: Final = 27
C_TUNNELS_LOST: Final = 28
C_BAD: Final = 29
C_OFFLOADED: Final = 30
C_BACK: Final = 31
C_INNER: Final = 32
C_ONE_SIDED: Final = 33
N_COUNTS: Final = 40

# Rows of State.frames: the first frame numbers of what the ledger tells of.
F_ORPHANS: Final = 0
F_EVICTED: Final = 1
F_BAD: Final = 2
F_OFFLOADED: Final = 3
F_BACK: Final = 4
F_INNER: Final = 5
F_TUNNELS: Final = 6
N_FRAMES: Final = 7

# Places in State.config
S_TCP_IDLE: Final = 0
S_TCP_CLOSE: Final = 1
S_UDP_IDLE: Final = 2
S_ICMP_IDLE: Final = 3
S_BAD_MASK: Final = 4  # PACKET.marks that make a packet bad
S_GOOD_MASK: Final = 5  # PACKET.marks that make it good all the same
S_SCOPE: Final = 6  # 1: VNI, 2: VLAN, 3: both
S_MAX_OPEN: Final = 7
S_SEED: Final = 8
S_SEED_2: Final = 9
N_CONFIG: Final = 10

FRAGMENT_SETS: Final = 16384  # of four
FRAGMENT_AGE: Final = 30 * NANOS  # how long a reassembler waits (RFC 791: 15 s at least)
TUNNEL_ROWS: Final = 1 << 17


class State(NamedTuple):
    """Everything the kernels of the flow table work on."""

    hot: NDArray[np.void]
    ends: NDArray[np.void]  # 2 * slot + side
    cold: NDArray[np.void]
    index: NDArray[np.uint64]
    free: NDArray[np.int32]
    ended: NDArray[np.int32]
    outer: NDArray[np.void]
    slices: NDArray[np.void]
    holes: NDArray[np.void]
    letters: NDArray[np.void]
    fragments: NDArray[np.void]
    tunnels: NDArray[np.void]
    slice_rows: NDArray[np.void]
    block_rows: NDArray[np.void]
    arp_rows: NDArray[np.void]
    counts: NDArray[np.int64]
    frames: NDArray[np.int64]
    config: NDArray[np.int64]
    servers: NDArray[np.uint8]  # by port: 1 likely TCP server, 2 likely UDP server


def _rows(dtype: np.dtype[Any]) -> Any:
    return numba.from_dtype(dtype)[::1]


#: Numba's type of State and of a chunk of packets, for explicit signatures.
PACKETS_TYPE: Final = _rows(PACKET)
STATE_TYPE: Final = numba.types.NamedTuple(
    (
        _rows(HOT),
        _rows(END),
        _rows(COLD),
        numba.uint64[::1],
        numba.int32[::1],
        numba.int32[::1],
        _rows(OUTER),
        _rows(SLICE),
        _rows(HOLES),
        _rows(LETTERS),
        _rows(FRAGMENT),
        _rows(TUNNEL),
        _rows(SLICE_ROW),
        _rows(BLOCK_ROW),
        _rows(ARP_ROW),
        numba.int64[::1],
        numba.int64[:, ::1],
        numba.int64[::1],
        numba.uint8[::1],
    ),
    State,
)


def lazy_rows(count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeroed rows that cost memory only once they are written to. MemoryError where the address space is full."""
    size = max(1, count * dtype.itemsize)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0))
    return np.frombuffer(memory, dtype=dtype, count=count)
