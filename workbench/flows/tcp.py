"""TCP as Zeek tracks it: endpoint states, sequence numbers, direction, when a tuple starts anew.

Facts from zeek/zeek: src/packet_analysis/protocol/tcp/TCPSessionAdapter.cc and TCP.cc,
src/analyzer/protocol/tcp/TCP_Endpoint.cc and TCP_Reassembler.cc. Where a rule looks arbitrary it is
Zeek's, and changing it changes conn_state or history of somebody's baseline.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import kernel
from workbench.flows.history import LETTER_FLIP, LETTER_T, LETTER_W, add_byte, add_letter, power_of_ten, tcp_letters
from workbench.flows.holes import acknowledged, ahead, close_waits, data_sent, endpoint_state, has_bit, previous_state, set_bit
from workbench.flows.memory import cold_at, end_at, hot_at, inlined, outer_at, slice_at
from workbench.flows.rows import (
    CLOSED,
    CONN_ATTEMPT,
    CONN_DEFERRED,
    CONN_DST_SEEN,
    CONN_PARTIAL,
    CONN_SETTLED,
    CONN_SRC_SEEN,
    END_CLOSED,
    END_EOF,
    END_FIN,
    ESTABLISHED,
    FACT_DST_RIGHT,
    FACT_SRC_RIGHT,
    INACTIVE,
    NEVER,
    PARTIAL,
    RESET,
    SEEN_ACK,
    SEEN_DATA,
    SYN_ACK_SENT,
    SYN_SENT,
)

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
ACK: Final = 16
_PLAIN_UNACKED: Final = 8 << 20  # bytes; well below where a stream without acks is given up
_FAR: Final = 1 << 20  # a jump of sequence numbers too large to believe


@kernel
def _set_state(state: Any, slot: Any, side: Any, new: Any) -> Any:
    hot = hot_at(state, slot)
    now = endpoint_state(hot, side)
    if new == now:
        return
    if new > SYN_ACK_SENT and now <= SYN_ACK_SENT and endpoint_state(hot, 1 - side) <= SYN_ACK_SENT:
        hot.marks |= CONN_SETTLED
    if side:
        hot.dst_state = new | (now << 4)
    else:
        hot.src_state = new | (now << 4)


@kernel
def start_end(end: Any, begun: Any, heard: Any) -> Any:
    """An endpoint nothing is known of; begun: 1 for TCP, whose first byte has relative number 1; heard: END.stream."""
    end.stream = heard
    end.start = 0
    end.last = 0
    end.ack = 0
    end.seq_wraps = 0
    end.ack_wraps = 0
    end.hist_syn = 0
    end.hist_fin = 0
    end.hist_rst = 0
    end.delivered = begun
    end.trimmed = 1
    end.top = 1
    end.fin_seq = 0
    end.retransmits = 0
    end.zero_windows = 0
    end.bad_sums = 0
    end.gaps = 0
    end.flags = 0


@kernel
def _number_from(end: Any, first: Any, last: Any) -> Any:
    """Number a side anew; wraps of the old numbers are forgotten (Zeek keeps them, and counts 4 GB too many)."""
    end.seq_wraps = 0
    end.ack_wraps = 0
    end.start = first
    end.ack = first
    end.last = last


@kernel
def _begin_numbers(state: Any, slot: Any, side: Any, syn: Any, seq: Any, past: Any) -> Any:
    """Set the first sequence number where this packet is the first to tell, or a SYN tells otherwise."""
    hot = hot_at(state, slot)
    end = end_at(state, 2 * slot + side)
    now = endpoint_state(hot, side)
    if now == INACTIVE:
        if syn:
            _number_from(end, seq, past)
        else:  # mid-stream: numbered as if a SYN had come before
            _number_from(end, np.uint32((np.int64(seq) - 1) & 0xFFFFFFFF), seq)
    elif syn:
        if now in (SYN_SENT, SYN_ACK_SENT):
            if seq != end.start:
                _number_from(end, seq, past)
        elif now in (ESTABLISHED, PARTIAL) or (now == RESET and previous_state(hot, side) == INACTIVE):
            _number_from(end, seq, past)


@kernel
def _relative(start: Any, number: Any, last: Any, wraps: Any) -> Any:
    """Sequence number relative to the first one; negative where it lies before it."""
    distance = ahead(number, last)
    if distance < 0:
        if wraps > 0 and number > last:
            wraps -= 1
    elif distance > 0 and number < last:
        wraps += 1
    if wraps == 0:
        return ahead(number, start)
    return (np.int64(wraps) << 32) + np.int64(number) - np.int64(start)


@kernel
def _advance_last(end: Any, past: Any) -> Any:
    if past < end.last:
        end.seq_wraps += 1
    end.last = past


@kernel
def _update_last(state: Any, slot: Any, side: Any, past: Any, flags: Any, length: Any) -> Any:
    """Note how far the side has sent; a packet with payload that brings nothing new is a retransmission."""
    end = end_at(state, 2 * slot + side)
    delta = ahead(past, end.last)
    if (flags & (SYN | RST)) != 0 and (delta > _FAR or delta < -_FAR):
        return
    if (flags & FIN) != 0 and (delta > 0 or delta < -_FAR) and np.int64(end.last) == ((np.int64(end.start) + 1) & 0xFFFFFFFF):
        # only SYN and FIN seen, over 2 GB apart: the FIN tells the size. (Zeek does so for a FIN just below the SYN, too,
        # and counts 4 GB that nobody sent.)
        _advance_last(end, past)
    elif endpoint_state(hot_at(state, slot), side) == RESET:
        return
    elif delta > 0:
        _advance_last(end, past)
    elif length > 0:
        end.retransmits += 1
        if power_of_ten(np.int64(end.retransmits)):
            add_letter(state, slot, side, LETTER_T)


@kernel
def _take_ack(state: Any, slot: Any, peer: Any, ack: Any, reset: Any) -> Any:
    """Note an acknowledgement of what the peer sent; returns it as a relative number, 0 where it makes no sense."""
    hot = hot_at(state, slot)
    end = end_at(state, 2 * slot + peer)
    if endpoint_state(hot, peer) == INACTIVE:
        before = np.uint32((np.int64(ack) - 1) & 0xFFFFFFFF)
        _number_from(end, before, before)
        return np.int64(1)
    relative = _relative(end.start, ack, end.ack, np.int64(end.ack_wraps))
    if relative < 0:
        return np.int64(0)
    if not reset:
        delta = ahead(ack, end.ack)
        if delta > 0 and not (ack == 0 and delta > _FAR):
            if ack < end.ack:
                end.ack_wraps += 1
            end.ack = ack
    return relative


@kernel
def _flip(state: Any, slot: Any) -> Any:
    """Swap originator and responder of a running flow."""
    hot = hot_at(state, slot)
    hot.src_hi, hot.dst_hi = hot.dst_hi, hot.src_hi
    hot.src_lo, hot.dst_lo = hot.dst_lo, hot.src_lo
    hot.src_port, hot.dst_port = hot.dst_port, hot.src_port
    hot.src_state, hot.dst_state = hot.dst_state, hot.src_state
    hot.src_pkts, hot.dst_pkts = hot.dst_pkts, hot.src_pkts
    hot.src_bytes, hot.dst_bytes = hot.dst_bytes, hot.src_bytes
    hot.bits = ((np.int64(hot.bits) & 15) << 4) | (np.int64(hot.bits) >> 4)
    marks = np.int64(hot.marks)
    seen = (CONN_DST_SEEN if marks & CONN_SRC_SEEN else 0) | (CONN_SRC_SEEN if marks & CONN_DST_SEEN else 0)
    hot.marks = (marks & ~(CONN_SRC_SEEN | CONN_DST_SEEN | CONN_PARTIAL)) | seen
    facts = np.int64(hot.facts)
    right = (FACT_DST_RIGHT if facts & FACT_SRC_RIGHT else 0) | (FACT_SRC_RIGHT if facts & FACT_DST_RIGHT else 0)
    hot.facts = (facts & ~(FACT_SRC_RIGHT | FACT_DST_RIGHT)) | right
    a = end_at(state, 2 * slot)
    b = end_at(state, 2 * slot + 1)
    a.start, b.start = b.start, a.start
    a.last, b.last = b.last, a.last
    a.ack, b.ack = b.ack, a.ack
    a.seq_wraps, b.seq_wraps = b.seq_wraps, a.seq_wraps
    a.ack_wraps, b.ack_wraps = b.ack_wraps, a.ack_wraps
    a.hist_syn, b.hist_syn = b.hist_syn, a.hist_syn
    a.hist_fin, b.hist_fin = b.hist_fin, a.hist_fin
    a.hist_rst, b.hist_rst = b.hist_rst, a.hist_rst
    a.delivered, b.delivered = b.delivered, a.delivered
    a.trimmed, b.trimmed = b.trimmed, a.trimmed
    a.top, b.top = b.top, a.top
    a.fin_seq, b.fin_seq = b.fin_seq, a.fin_seq
    a.retransmits, b.retransmits = b.retransmits, a.retransmits
    a.zero_windows, b.zero_windows = b.zero_windows, a.zero_windows
    a.bad_sums, b.bad_sums = b.bad_sums, a.bad_sums
    a.gaps, b.gaps = b.gaps, a.gaps
    a.flags, b.flags = b.flags, a.flags
    a.stream, b.stream = b.stream, a.stream
    cold = cold_at(state, slot)
    cold.src_mac, cold.dst_mac = cold.dst_mac, cold.src_mac
    cold.src_holes, cold.dst_holes = cold.dst_holes, cold.src_holes
    if cold.outer >= 0:
        outer = outer_at(state, cold.outer)
        outer.src_hi, outer.dst_hi = outer.dst_hi, outer.src_hi
        outer.src_lo, outer.dst_lo = outer.dst_lo, outer.src_lo
        outer.src_mac, outer.dst_mac = outer.dst_mac, outer.src_mac
    if cold.slice >= 0:
        row = slice_at(state, cold.slice)
        row.src_pkts, row.dst_pkts = row.dst_pkts, row.src_pkts
        row.src_bytes, row.dst_bytes = row.dst_bytes, row.src_bytes
    add_byte(state, slot, LETTER_FLIP)


@kernel
def _from_inactive(state: Any, slot: Any, side: Any, packet: Any, ts: Any) -> Any:
    """First processed packet of this side; returns (the side it is now, whether the side closes)."""
    hot = hot_at(state, slot)
    flags = np.int64(packet.flags)
    peer = 1 - side
    closes = False
    if flags & SYN:
        if side == 0:
            _set_state(state, slot, 0, SYN_ACK_SENT if flags & ACK else SYN_SENT)
            if (hot.marks & CONN_ATTEMPT) or hot.deadline == NEVER:
                hot.deadline = ts + state.tcp_close
                hot.marks |= CONN_ATTEMPT
        else:
            reversed_order = endpoint_state(hot, peer) == SYN_ACK_SENT and packet.seq == end_at(state, 2 * slot + side).start
            if not (flags & ACK) and reversed_order:
                # the SYN+ACK was captured before its SYN: the other one is the originator
                _flip(state, slot)
                side, peer = peer, side
                _set_state(state, slot, peer, ESTABLISHED)
                hot.marks |= CONN_SRC_SEEN
            if endpoint_state(hot, peer) == SYN_SENT:
                _set_state(state, slot, peer, ESTABLISHED)
            _set_state(state, slot, side, ESTABLISHED)
    if flags & FIN:
        _set_state(state, slot, side, CLOSED)
        closes = True
    if flags & RST:
        _set_state(state, slot, side, RESET)
        closes = True
    if endpoint_state(hot, side) == INACTIVE:
        if side == 1 and packet.payload == 0 and endpoint_state(hot, 0) == SYN_SENT:
            pass  # some acknowledge a SYN before they answer it
        elif (flags & ACK) and endpoint_state(hot, peer) == ESTABLISHED:
            _set_state(state, slot, side, ESTABLISHED)
            hot.marks = (np.int64(hot.marks) & ~CONN_PARTIAL) | (CONN_DST_SEEN if side else CONN_SRC_SEEN)
        else:
            _set_state(state, slot, side, PARTIAL)
    return side, closes


@kernel
def _next_state(state: Any, slot: Any, side: Any, packet: Any, ts: Any) -> Any:
    """Move the side's state on; returns (the side it is now, whether the side closes)."""
    hot = hot_at(state, slot)
    flags = np.int64(packet.flags)
    peer = 1 - side
    now = endpoint_state(hot, side)
    if now == INACTIVE:
        return _from_inactive(state, slot, side, packet, ts)
    closes = False
    if now in (SYN_SENT, SYN_ACK_SENT):
        if flags & FIN:
            _set_state(state, slot, side, CLOSED)
            closes = True
        if flags & RST:
            _set_state(state, slot, side, RESET)
            closes = True
    elif now in (ESTABLISHED, PARTIAL):
        if (flags & (SYN | ACK)) == SYN and now == PARTIAL and endpoint_state(hot, peer) == INACTIVE:
            _set_state(state, slot, side, SYN_SENT)
        if (flags & (FIN | RST)) == FIN:
            _set_state(state, slot, side, CLOSED)
            if endpoint_state(hot, peer) == RESET and previous_state(hot, peer) == CLOSED:
                _set_state(state, slot, peer, CLOSED)  # FIN then RST there: a normal end after all
            closes = True
        if flags & RST:
            _set_state(state, slot, side, RESET)
            closes = True
    elif now == CLOSED and (flags & RST) and endpoint_state(hot, peer) != CLOSED:
        _set_state(state, slot, side, RESET)
        closes = not has_bit(hot, side, END_CLOSED)
    return side, closes


@kernel
def _close(state: Any, slot: Any, side: Any) -> Any:
    """This side closed; the flow ends soon after where that completes the close."""
    hot = hot_at(state, slot)
    if close_waits(state, slot, side):
        hot.marks |= CONN_DEFERRED
        return
    hot.marks = np.int64(hot.marks) & ~CONN_DEFERRED
    if has_bit(hot, side, END_CLOSED):
        return
    set_bit(hot, side, END_CLOSED)
    peer = 1 - side
    complete = endpoint_state(hot, side) == RESET or has_bit(hot, peer, END_CLOSED) or endpoint_state(hot, peer) == INACTIVE
    if complete:
        due = hot.last + state.tcp_close
        if (hot.marks & CONN_ATTEMPT) or hot.deadline == NEVER or due < hot.deadline:
            hot.deadline = due
        hot.marks = np.int64(hot.marks) & ~CONN_ATTEMPT


@kernel
def _check_eof(state: Any, slot: Any, side: Any) -> Any:
    """Once everything below a FIN or RST was delivered, a close that waited takes effect."""
    hot = hot_at(state, slot)
    if has_bit(hot, side, END_EOF):
        return
    now = endpoint_state(hot, side)
    if (has_bit(hot, side, END_FIN) or now in (CLOSED, RESET)) and not close_waits(state, slot, side):
        set_bit(hot, side, END_EOF)
        if hot.marks & CONN_DEFERRED:
            _close(state, slot, side)
            hot.marks = np.int64(hot.marks) & ~CONN_DEFERRED


@inlined
def plain_segment(hot: Any, end: Any, peer: Any, side: Any, packet: Any, ts: Any) -> Any:
    """The commonest packet, in a fifth of the time: established, in order, acknowledging what was seen, no news.

    True where it was taken; else nothing was changed and `process_tcp` does the same with all cases.
    """
    if (packet.flags & (FIN | SYN | RST | ACK)) != ACK or hot.bits != 0 or packet.window == 0:
        return False
    if (hot.src_state & 15) != ESTABLISHED or (hot.dst_state & 15) != ESTABLISHED:
        return False
    if (hot.marks & (CONN_SRC_SEEN | CONN_DST_SEEN | CONN_DEFERRED)) != (CONN_SRC_SEEN | CONN_DST_SEEN):
        return False
    length = np.int64(packet.payload)
    letter = (SEEN_DATA if length else SEEN_ACK) << (8 * side)
    if (hot.seen & letter) == 0 or end.seq_wraps != 0 or peer.ack_wraps != 0 or packet.seq != end.last:
        return False
    past = np.int64(packet.seq) + length
    sent = np.int64(end.last) - np.int64(end.start)
    acked = np.int64(packet.ack) - np.int64(peer.start)
    if past > 0xFFFFFFFF or sent < 1 or sent != end.delivered or end.top > end.delivered:
        return False
    if packet.ack < peer.ack or acked < 1 or acked > peer.delivered or end.ack <= np.int64(end.start) + 1:
        return False
    if length:
        if packet.pay_cap < packet.payload or sent + length - np.int64(end.trimmed) > _PLAIN_UNACKED:
            return False
        end.last = past
        end.delivered = sent + length
        end.top = sent + length
    if packet.ack != peer.ack:
        peer.ack = packet.ack
    if acked > peer.trimmed:
        peer.trimmed = acked
    hot.last = ts
    return True


@kernel
def _judge_start(hot: Any, side: Any, syn: Any, ack: Any) -> Any:
    """First packet of a side: whether the connection was joined mid-stream."""
    if side == 0:
        partial = not syn or ack != 0
        hot.marks = (np.int64(hot.marks) & ~CONN_PARTIAL) | (CONN_PARTIAL if partial else 0)
    elif not (hot.marks & CONN_PARTIAL) and not syn:
        hot.marks |= CONN_PARTIAL


@kernel
def process_tcp(state: Any, slot: Any, side: Any, packet: Any, ts: Any) -> Any:
    """One TCP packet with a good checksum; returns the side its sender is, which a flip can change."""
    hot = hot_at(state, slot)
    end = end_at(state, 2 * slot + side)
    flags = np.int64(packet.flags)
    syn = flags & SYN
    fin = flags & FIN
    rst = flags & RST
    ack = flags & ACK
    length = np.int64(packet.payload)
    seen = CONN_DST_SEEN if side else CONN_SRC_SEEN
    if (hot.marks & seen) == 0:
        _judge_start(hot, side, syn, ack)
    segment = (0 if rst else length) + (1 if syn else 0) + (1 if fin else 0)
    past = np.uint32((np.int64(packet.seq) + segment) & 0xFFFFFFFF)
    before = endpoint_state(hot, side)
    if before == INACTIVE or syn:
        _begin_numbers(state, slot, side, syn, packet.seq, past)
    wraps = np.int64(end.seq_wraps)
    relative = _relative(end.start, packet.seq, end.last, wraps)
    tcp_letters(state, slot, side, 1 if syn else 0, 1 if fin else 0, 1 if rst else 0, ack, relative, length)
    if (
        packet.window == 0
        and not rst
        and before != RESET
        and endpoint_state(hot, 1 - side) != CLOSED
        and end.zero_windows < 65535
    ):
        end.zero_windows += 1
        if power_of_ten(np.int64(end.zero_windows)):
            add_letter(state, slot, side, LETTER_W)
    if not (has_bit(hot, 0, END_CLOSED) and has_bit(hot, 1, END_CLOSED)):
        hot.last = ts
    if syn:
        _note_handshake(state, slot, side, ack, ts)
    if fin:
        set_bit(hot, side, END_FIN)
        end.fin_seq = np.uint32((relative + segment) & 0xFFFFFFFF)
    acked = np.int64(0)
    if ack:
        acked = _take_ack(state, slot, 1 - side, packet.ack, rst != 0)
    _update_last(state, slot, side, past, flags, length)
    closes = False
    if before == INACTIVE or (flags & (SYN | FIN | RST)) != 0:
        side, closes = _next_state(state, slot, side, packet, ts)
        seen = CONN_DST_SEEN if side else CONN_SRC_SEEN
    if ack and acknowledged(state, slot, 1 - side, acked):
        _check_eof(state, slot, 1 - side)
    hot.marks |= seen
    if length > 0 and not rst and relative >= 0 and packet.pay_cap >= packet.payload:
        data_sent(state, slot, side, relative + (1 if syn else 0), length)
    if hot.bits or (hot.marks & CONN_DEFERRED) or (flags & (FIN | RST)) != 0:
        _check_eof(state, slot, side)
    if closes:
        _close(state, slot, side)
    return side


@kernel
def _note_handshake(state: Any, slot: Any, side: Any, ack: Any, ts: Any) -> Any:
    """Times of SYN and SYN+ACK as seen here; only the first answer counts."""
    cold = cold_at(state, slot)
    if side == 0 and not ack:
        cold.syn = ts
    elif side == 1 and ack and cold.syn != 0 and cold.rtt_us < 0:
        rtt = (ts - cold.syn) // 1000
        if 0 <= rtt <= 0x7FFFFFFF:
            cold.rtt_us = rtt


@kernel
def starts_anew(state: Any, slot: Any, packet: Any) -> Any:
    """Whether a SYN on the tuple of an existing flow is a new connection."""
    flags = np.int64(packet.flags)
    if not (flags & SYN):
        return False
    hot = hot_at(state, slot)
    source = endpoint_state(hot, 0)
    side = 0
    if flags & ACK:
        if source != INACTIVE:
            return False
        side = 1
    if has_bit(hot, 0, END_CLOSED) or has_bit(hot, 1, END_CLOSED):
        return True
    if packet.seq == end_at(state, 2 * slot + side).start:
        return False
    reversed_order = (
        source == SYN_ACK_SENT and endpoint_state(hot, 1) == INACTIVE and packet.seq == end_at(state, 2 * slot + 1).start
    )
    return not (not (flags & ACK) and reversed_order)


@kernel
def tcp_flips(packet: Any, src_server: Any, dst_server: Any) -> Any:
    """Whether the first packet of a tuple seems to come from the responder, by likely server ports."""
    flags = np.int64(packet.flags)
    if (flags & (SYN | ACK)) == SYN or not src_server:
        return False
    if dst_server:
        return not (flags & SYN) and packet.src_port < packet.dst_port
    return True
