"""Records into flows: a chained hash table whose rows gather both directions.

A record joins a flow of the same addresses, ports, protocol, network, exporter and domain, either way round, where their times
are no further apart than the window. Where an exporter tells of the same packets at several interfaces, each is a flow of its
own: a record that overlaps what its own side of a flow has already, at other interfaces, does not join.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int32, int64
from numpy.typing import NDArray

from workbench.decode.bits import exported, i64, kernel, u64
from workbench.flows.telemetry import rows as f
from workbench.records import telemetry as r

_MOST: Final = 1 << 60
_ICMP4, _ICMP6, _TCP, _UDP, _SCTP, _DCCP = 1, 58, 6, 17, 132, 33
_SYN, _FIN_OR_RST = 2, 5
_ACTIVE, _FORCED = 2, 4  # flowEndReason
#: What `_settle` tells of a record.
ONE_WAY, UNTIMED = 1, 2
#: No exporter's idle timeout is shorter (ns): after a silence that is, a flow was cut by the active one.
_IDLE: Final = 15_000_000_000


@kernel
def network_of(row: Any) -> int:
    """The network key of a record, packed as that of packets is: VNI + 1, two VLANs."""
    vni, vlan, inner = row[r.VNI], row[r.VLAN], row[r.INNER_VLAN]
    key = (vni + 1) << 24 if 0 <= vni < 1 << 24 else i64(0)
    if 0 < vlan < 4096:
        key |= vlan << 12
        if 0 < inner < 4096:
            key |= inner
    return i64(key)


@kernel
def _settle(row: Any, answers: Any) -> int:
    """Make a record whole: ports of ICMP, times, counts. ONE_WAY: its ICMP type is not answered; UNTIMED: it tells no time."""
    marks = i64(UNTIMED) if row[r.START] <= 0 and row[r.END] <= 0 else i64(0)
    proto = row[r.PROTO] & 255 if row[r.PROTO] >= 0 else i64(0)
    row[r.PROTO] = proto
    if proto in (_ICMP4, _ICMP6):
        kind = row[r.ICMP] if row[r.ICMP] >= 0 else max(row[r.DST_PORT], 0)
        row[r.SRC_PORT] = kind >> 8 & 255
        other = answers[0 if proto == _ICMP4 else 1, kind >> 8 & 255]
        row[r.DST_PORT] = other if other >= 0 else kind & 255
        marks |= i64(ONE_WAY) if other < 0 else i64(0)
    elif proto in (_TCP, _UDP, _SCTP, _DCCP):
        row[r.SRC_PORT] = max(row[r.SRC_PORT], 0) & 0xFFFF
        row[r.DST_PORT] = max(row[r.DST_PORT], 0) & 0xFFFF
    else:
        row[r.SRC_PORT] = -1
        row[r.DST_PORT] = -1
    _settle_times(row)
    if row[r.BYTES] < 0:
        row[r.BYTES] = row[r.LINK_BYTES] if row[r.TOTAL_BYTES] < 0 else row[r.TOTAL_BYTES]
    if row[r.PKTS] < 0:
        row[r.PKTS] = row[r.TOTAL_PKTS]
    if row[r.REVERSE_PKTS] < 0:
        row[r.REVERSE_PKTS] = row[r.TOTAL_REVERSE_PKTS]
    if row[r.REVERSE_BYTES] < 0:
        row[r.REVERSE_BYTES] = row[r.TOTAL_REVERSE_BYTES]
    for slot in (r.PKTS, r.BYTES):
        row[slot] = min(max(row[slot], 0), _MOST)
    return marks


@kernel
def _settle_times(row: Any) -> None:
    """A start and an end, the later one last; when it was exported where the record says nothing."""
    start, end = row[r.START], row[r.END]
    if start <= 0:
        start = end if end > 0 else row[r.EXPORTED]
    if end <= 0:
        millis = row[r.DURATION]
        end = start + millis * 1_000_000 if 0 <= millis < 1 << 32 else start
    row[r.START] = start
    row[r.END] = max(start, end)


@kernel
def _mix(h: Any, value: Any) -> Any:
    h = (h ^ u64(value)) * u64(0x9E3779B97F4A7C15)
    return h ^ (h >> u64(29))


@kernel
def _hash(row: Any, network: int, seed: Any) -> int:
    """The same for both directions of a flow."""
    first = _mix(_mix(_mix(seed, row[r.SRC_HI]), row[r.SRC_LO]), row[r.SRC_PORT])
    second = _mix(_mix(_mix(seed, row[r.DST_HI]), row[r.DST_LO]), row[r.DST_PORT])
    both = _mix(_mix(_mix(first + second, row[r.PROTO]), network), row[r.EXPORTER])
    return i64(_mix(both, row[r.DOMAIN]) >> u64(1))


@kernel
def _side_of(row: Any, flow: Any, network: int, one_way: int) -> int:
    """Which direction of the flow the record is: 0, 1, or -1 where it is of another."""
    if (
        row[r.PROTO] != flow[f.PROTO]
        or row[r.EXPORTER] != flow[f.EXPORTER]
        or row[r.DOMAIN] != flow[f.DOMAIN]
        or network != flow[f.NETWORK]
        or row[r.VRF] != flow[f.VRF]
        or one_way != flow[f.ONE_WAY]
    ):
        return -1
    if (
        row[r.SRC_HI] == flow[f.A_HI]
        and row[r.SRC_LO] == flow[f.A_LO]
        and row[r.DST_HI] == flow[f.B_HI]
        and row[r.DST_LO] == flow[f.B_LO]
        and row[r.SRC_PORT] == flow[f.A_PORT]
        and row[r.DST_PORT] == flow[f.B_PORT]
    ):
        return 0
    if (
        one_way == 0
        and row[r.SRC_HI] == flow[f.B_HI]
        and row[r.SRC_LO] == flow[f.B_LO]
        and row[r.DST_HI] == flow[f.A_HI]
        and row[r.DST_LO] == flow[f.A_LO]
        and row[r.SRC_PORT] == flow[f.B_PORT]
        and row[r.DST_PORT] == flow[f.A_PORT]
    ):
        return 1
    return -1


@kernel
def _closed(flags: int) -> bool:
    return flags > 0 and flags & _FIN_OR_RST != 0


@kernel
def _opens(flags: int) -> bool:
    return flags > 0 and flags & _SYN != 0


@kernel
def _goes_on(row: Any, flow: Any, at: int, marks: int, window: int) -> bool:
    """Whether a record is the next piece of the direction whose columns begin at `at`: a cut by the active timeout.

    Where the exporter does not say why it cut, a silence shorter than any idle timeout tells; not so where packets were sampled.
    """
    gap, reason = row[r.START] - flow[at + f.END], flow[at + f.REASON]
    if gap > window or flow[at + f.START] - row[r.END] > window:
        return False
    if reason > 0:
        return bool(gap <= 0 or reason == _ACTIVE or reason >= _FORCED)
    if marks & UNTIMED or row[r.SAMPLER] > 0 or row[r.SAMPLING] > 1 or gap >= _IDLE:
        return False
    return gap <= 0 or not (_closed(flow[at + f.FLAGS]) and _opens(row[r.FLAGS]))


@kernel
def _fit(row: Any, flow: Any, side: int, marks: int, window: int) -> int:
    """How well a record fits a flow: 0 not at all, 1 in time, 2 at the same interfaces, too."""
    mine = f.SIDE + side * f.SIDE_WIDTH
    other = f.SIDE + (1 - side) * f.SIDE_WIDTH
    if flow[mine + f.PIECES]:
        if not _goes_on(row, flow, mine, marks, window):
            return 0
        same = (
            row[r.IN_IF] == flow[mine + f.IN_IF]
            and row[r.OUT_IF] == flow[mine + f.OUT_IF]
            and row[r.DIRECTION] == flow[mine + f.DIRECTION]
        )
        return 2 if same else 1 if row[r.START] > flow[mine + f.END] else 0
    if row[r.START] - flow[other + f.END] > window or flow[other + f.START] - row[r.END] > window:
        return 0
    return 2 if row[r.IN_IF] == flow[other + f.OUT_IF] and row[r.OUT_IF] == flow[other + f.IN_IF] else 1


@kernel
def _find(row: Any, flows: Any, heads: Any, h: int, network: int, marks: int, window: int) -> int:
    """slot * 2 + side of the flow that the record joins; -1 where it begins one."""
    slot = i64(heads[h & (len(heads) - 1)])
    best, found = 0, i64(-1)
    while slot >= 0:
        flow = flows[slot]
        if flow[f.HASH] == h:
            side = _side_of(row, flow, network, marks & ONE_WAY)
            if side >= 0:
                fit = _fit(row, flow, side, marks, window)
                if fit > best:
                    best, found = fit, slot * 2 + side
                    if fit == 2:
                        return found
        slot = flow[f.NEXT]
    return found


@kernel
def _begin(row: Any, flow: Any, h: int, network: int, one_way: int) -> None:
    for n in range(f.WIDTH):
        flow[n] = 0
    flow[f.A_HI], flow[f.A_LO], flow[f.A_PORT] = row[r.SRC_HI], row[r.SRC_LO], row[r.SRC_PORT]
    flow[f.B_HI], flow[f.B_LO], flow[f.B_PORT] = row[r.DST_HI], row[r.DST_LO], row[r.DST_PORT]
    flow[f.PROTO], flow[f.EXPORTER], flow[f.DOMAIN] = row[r.PROTO], row[r.EXPORTER], row[r.DOMAIN]
    flow[f.NETWORK], flow[f.VRF], flow[f.ONE_WAY], flow[f.HASH] = network, row[r.VRF], one_way, h
    flow[f.ICMP], flow[f.SAMPLING] = row[r.ICMP], row[r.SAMPLING]
    flow[f.VLAN], flow[f.INNER_VLAN], flow[f.VNI] = row[r.VLAN], row[r.INNER_VLAN], row[r.VNI]
    flow[f.A_MAC], flow[f.B_MAC] = row[r.SRC_MAC], row[r.DST_MAC]
    flow[f.OUTER_A_HI], flow[f.OUTER_A_LO] = row[r.OUTER_SRC_HI], row[r.OUTER_SRC_LO]
    flow[f.OUTER_B_HI], flow[f.OUTER_B_LO] = row[r.OUTER_DST_HI], row[r.OUTER_DST_LO]
    flow[f.TUNNEL], flow[f.VERDICT], flow[f.RULE] = row[r.TUNNEL], r.ABSENT, r.ABSENT
    for side in range(2):
        at = f.SIDE + side * f.SIDE_WIDTH
        flow[at + f.FLAGS] = -1
        flow[at + f.REASON] = -1


@kernel
def _note_piece(pieces: Any, state: Any, slot: int, side: int, start: int, packets: int, size: int) -> None:
    at = state[f.PIECE_COUNT]
    if at < len(pieces):
        pieces[at, 0], pieces[at, 1], pieces[at, 2] = slot, side, start
        pieces[at, 3], pieces[at, 4] = packets, size
        state[f.PIECE_COUNT] = at + 1


@kernel
def _add_side(
    flow: Any, slot: int, side: int, row: Any, packets: int, size: int, flags: int, total: int, pieces: Any, state: Any
) -> None:
    """What a record tells of one direction; total: 1 where its counts are since the flow began."""
    at = f.SIDE + side * f.SIDE_WIDTH
    start, end = row[r.START], row[r.END]
    had = flow[at + f.PIECES]
    if had:
        if total:
            packets = max(packets - flow[at + f.PKTS], 0)
            size = max(size - flow[at + f.BYTES], 0)
        if had == 1:
            _note_piece(pieces, state, slot, side, flow[at + f.START], flow[at + f.PKTS], flow[at + f.BYTES])
        _note_piece(pieces, state, slot, side, start, packets, size)
        state[f.MERGED] += 1
        flow[at + f.START] = min(flow[at + f.START], start)
        if end >= flow[at + f.END]:
            flow[at + f.END] = end
            flow[at + f.REASON] = row[r.REASON]
    else:
        flow[at + f.START], flow[at + f.END], flow[at + f.REASON] = start, end, row[r.REASON]
        flow[at + f.IN_IF], flow[at + f.OUT_IF] = row[r.IN_IF], row[r.OUT_IF]
        flow[at + f.DIRECTION] = row[r.DIRECTION]
    flow[at + f.PIECES] = had + 1
    flow[at + f.PKTS] = min(flow[at + f.PKTS] + packets, _MOST)
    flow[at + f.BYTES] = min(flow[at + f.BYTES] + size, _MOST)
    if flags >= 0:
        flow[at + f.FLAGS] = flags | max(flow[at + f.FLAGS], 0)


@kernel
def _join(flow: Any, slot: int, side: int, row: Any, pieces: Any, state: Any) -> None:
    """Everything a record says into its flow."""
    total = i64(1) if row[r.TOTAL_PKTS] >= 0 and row[r.PKTS] == row[r.TOTAL_PKTS] else i64(0)
    _add_side(flow, slot, side, row, row[r.PKTS], row[r.BYTES], row[r.FLAGS], total, pieces, state)
    flow[f.KNOWN] |= f.TOLD_B if side else f.TOLD_A
    if row[r.REVERSE_PKTS] >= 0 or row[r.REVERSE_BYTES] >= 0:
        flow[f.KNOWN] |= f.TOLD_BOTH
        packets = min(max(row[r.REVERSE_PKTS], 0), _MOST)
        size = min(max(row[r.REVERSE_BYTES], 0), _MOST)
        if packets or size:
            _add_side(flow, slot, 1 - side, row, packets, size, row[r.REVERSE_FLAGS], total, pieces, state)
            state[f.MERGED] -= 1 if flow[f.SIDE + (1 - side) * f.SIDE_WIDTH + f.PIECES] > 1 else 0
        if not flow[f.KNOWN] & f.INITIATOR:
            reverse = (side == 1) != (row[r.BIFLOW] == 2)
            flow[f.KNOWN] |= f.INITIATOR | (f.INITIATOR_B if reverse else 0)
    elif row[r.BIFLOW] == 1 or row[r.BIFLOW] == 2:
        reverse = (side == 1) != (row[r.BIFLOW] == 2)
        flow[f.KNOWN] |= f.INITIATOR | (f.INITIATOR_B if reverse else 0)
    flow[f.SAMPLING] = max(flow[f.SAMPLING], row[r.SAMPLING])
    _judge(flow, row)
    if side:
        if flow[f.A_MAC] < 0 and row[r.DST_MAC] > 0:
            flow[f.A_MAC] = row[r.DST_MAC]
        if flow[f.B_MAC] < 0 and row[r.SRC_MAC] > 0:
            flow[f.B_MAC] = row[r.SRC_MAC]


@kernel
def _judge(flow: Any, row: Any) -> None:
    """Verdict and rule: a denial of any record is one of the flow."""
    point = row[r.POINT] if row[r.POINT] > 0 else i64(-1)
    rule = row[r.RULE] if row[r.RULE] >= 0 else point
    verdict = row[r.VERDICT]
    if verdict < 0 and point > 0 and row[r.DROPPED] == 0:
        verdict = r.ALLOWED
    if verdict > flow[f.VERDICT]:
        flow[f.VERDICT] = verdict
        if rule >= 0:
            flow[f.RULE] = rule
    elif flow[f.RULE] < 0 and rule >= 0:
        flow[f.RULE] = rule


@exported(
    int64(
        *(int64[:, ::1], int64, int64[:, ::1], int32[::1], int64[::1], int64[:, ::1], int64[::1], int64[::1]),
        *(int64[::1], int64[:, ::1], int64, int64),
    )
)
def pair_records(
    records: NDArray[np.int64],
    first: int,
    flows: NDArray[np.int64],
    heads: NDArray[np.int32],
    free: NDArray[np.int64],
    pieces: NDArray[np.int64],
    state: NDArray[np.int64],
    clocks: NDArray[np.int64],
    numbers: NDArray[np.int64],
    answers: NDArray[np.int64],
    window: int,
    seed: int,
) -> int:
    """Records from `first` on into flows; how many were taken: fewer where the table or the room for pieces is full.

    heads: buckets, a power of two. free: a stack of slots, state[FREE] of them. clocks, numbers: by exporter, its time and
    how many flows it has had. answers: rows for ICMP 4 and 6 of the type that answers each, -1 none.
    """
    for n in range(first, len(records)):
        row = records[n]
        exporter = row[r.EXPORTER]
        if state[f.FREE] == 0 or state[f.PIECE_COUNT] + 4 > len(pieces) or not 0 <= exporter < len(clocks):
            return i64(n)
        marks = _settle(row, answers)
        network = network_of(row)
        h = _hash(row, network, u64(seed))
        clocks[exporter] = max(clocks[exporter], row[r.EXPORTED])
        found = _find(row, flows, heads, h, network, marks, window)
        if found < 0:
            state[f.FREE] -= 1
            slot = free[state[f.FREE]]
            flow = flows[slot]
            _begin(row, flow, h, network, marks & ONE_WAY)
            flow[f.N] = numbers[exporter]
            numbers[exporter] += 1
            bucket = h & (len(heads) - 1)
            flow[f.NEXT] = heads[bucket]
            heads[bucket] = slot
            state[f.LIVE] += 1
            found = slot * 2
        slot, side = found >> 1, found & 1
        _join(flows[slot], slot, side, row, pieces, state)
        flows[slot, f.TOLD] = clocks[exporter]
    return i64(len(records))


@exported(int64(int64[:, ::1], int32[::1], int64[::1], int64[::1], int64, int64, int64[::1]))
def close_flows(
    flows: NDArray[np.int64],
    heads: NDArray[np.int32],
    state: NDArray[np.int64],
    clocks: NDArray[np.int64],
    window: int,
    most: int,
    out: NDArray[np.int64],
) -> int:
    """Take flows out of the buckets that nothing more is expected of, and list their slots in `out`; how many.

    window: ns of its exporter's clock since a flow was last told of; below 0: all of them. most: at most so many.
    """
    count = i64(0)
    most = min(most, len(out))
    for bucket in range(len(heads)):
        before = i64(-1)
        slot = i64(heads[bucket])
        while slot >= 0:
            after = flows[slot, f.NEXT]
            if count < most and (window < 0 or clocks[flows[slot, f.EXPORTER]] - flows[slot, f.TOLD] > window):
                out[count] = slot
                count += 1
                if before < 0:
                    heads[bucket] = np.int32(after)
                else:
                    flows[before, f.NEXT] = after
            else:
                before = slot
            slot = after
    state[f.LIVE] -= count
    return count
