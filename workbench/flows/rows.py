"""The rows of the flow table.

A flow is one HOT row (two cache lines: key, times, counters), two END rows (one line each: what TCP
knows of an endpoint) and one COLD row (what is written once). All are indexed by the flow's slot.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.flows import stream_rows
from workbench.records.message import MESSAGE

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
        ("facts", np.uint8),  # FACT_*
        ("blocks", np.uint16),  # bit i: it has packets in the block i before its last one; 0: blocks are listed
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

#: One endpoint (TCP); of other transports only `delivered` and `bad_sums` are used. Sequence numbers are relative where said.
END: Final = np.dtype(
    [
        ("delivered", np.int64),  # relative: everything below was seen or given up. Other transports: payload bytes
        ("start", np.uint32),
        ("last", np.uint32),  # one past the highest sequence number sent
        ("ack", np.uint32),  # highest acknowledgement of what this endpoint sent
        ("seq_wraps", np.uint16),
        ("ack_wraps", np.uint16),
        ("hist_syn", np.uint32),
        ("hist_fin", np.uint32),
        ("hist_rst", np.uint32),
        ("stream", np.uint32),  # what is heard of it: number of a row of STREAM + 1, or one of HEARD and DEAF
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
        ("letters", np.uint16),  # length of the history
        ("reason", np.uint8),  # end_reason once ended
        ("tag", np.uint32),  # upper half of the key's hash: its place in the index
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

#: Single values, as rows.
WORD: Final = np.dtype([("value", np.uint64)])
NUMBER: Final = np.dtype([("value", np.int32)])
KIND: Final = np.dtype([("value", np.uint8)])

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

# HOT.facts
FACT_PORTS: Final = 1  # src_port and dst_port mean something
FACT_SRC_RIGHT: Final = 2  # a packet of the originator had a right checksum
FACT_DST_RIGHT: Final = 4
FACT_VOUCHED: Final = 8  # a packet that needs no belief: no wrong checksum, or an answer
FACT_DOUBTED: Final = 16  # a packet with a wrong checksum was believed

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

# Kinds in STATE.frames: the first frame numbers of what the ledger tells of.
F_ORPHANS: Final = 0
F_EVICTED: Final = 1
F_BAD: Final = 2
F_OFFLOADED: Final = 3
F_BACK: Final = 4
F_INNER: Final = 5
F_TUNNELS: Final = 6
N_FRAMES: Final = 7
FIRST_FRAMES: Final = 5  # of each kind

FRAGMENT_SETS: Final = 16384  # of four
FRAGMENT_AGE: Final = 30 * NANOS  # how long a reassembler waits (RFC 791: 15 s at least)
TUNNEL_ROWS: Final = 1 << 17


#: Regions of rows, each with its address and its length in STATE.
REGIONS: Final[dict[str, np.dtype[Any]]] = {
    "hot": HOT,
    "ends": END,  # 2 * slot + side
    "cold": COLD,
    "index": WORD,
    "free": NUMBER,  # slots to use again, a stack
    "ended": NUMBER,  # slots of flows that ended and were not emitted yet
    "outer": OUTER,
    "slices": SLICE,
    "holes": HOLES,
    "letters": LETTERS,
    "fragments": FRAGMENT,
    "tunnels": TUNNEL,
    "slice_rows": SLICE_ROW,
    "block_rows": BLOCK_ROW,
    "arp_rows": ARP_ROW,
    "servers": KIND,  # by port: 1 likely TCP server, 2 likely UDP server
    "buffers": NUMBER,  # buffers of streams to use again, a stack
    "messages": MESSAGE,
    **stream_rows.REGIONS,
}

_COUNTS: Final = (
    "slots",  # slots ever used: the high-water mark
    "free_count",
    "open",
    "ended_count",
    "flows",  # flows ever: the next n
    "packets",  # packets in flows
    "arp_packets",
    "orphans",
    "seen",  # packets of any status
    "hand",  # slot at which the sweep goes on
    "evict_hand",
    "evicted",
    "ts_first",
    "ts_last",
    "ts_previous",
    "bits",  # the index has 2 ** bits entries
    "outer_used",
    "outer_free",  # heads of free lists, -1 where empty
    "slices_used",
    "slices_free",
    "holes_used",
    "holes_free",
    "letters_used",
    "letters_free",
    "slice_count",
    "block_count",
    "arp_count",
    "tunnel_count",
    "tunnels_lost",
    "bad",
    "offloaded",
    "back",
    "inner",
    *stream_rows.COUNTS,
)
_SETTINGS: Final = (
    "tcp_idle",  # ns
    "tcp_close",
    "udp_idle",
    "icmp_idle",
    "bad_mask",  # PACKET.marks that make a packet bad
    "good_mask",  # PACKET.marks that make it good all the same
    "believing",  # 1: judge wrong checksums by what else is seen
    "scope",  # of the key; 1: VNI, 2: VLAN, 3: both
    "max_open",
    "soonest",  # ns: no flow is over sooner after its last packet
)

#: One row: all that the kernels share. They get it as a pointer, which keeps their calls and their compiling short.
STATE: Final = np.dtype(
    [
        *((name, np.int64) for name in (*_COUNTS, *_SETTINGS)),
        ("seed", np.uint64),
        ("seed_2", np.uint64),
        *((f"{name}_{part}", np.int64) for name in REGIONS for part in ("at", "rows")),
        ("frames", np.int64, (N_FRAMES * FIRST_FRAMES,)),
    ],
    align=True,
)
