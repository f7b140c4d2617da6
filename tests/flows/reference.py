"""A slow, plain model of the flow table, written from Zeek's definitions: one Python object per flow, big integers,
real lists of data blocks. It shares no code and no data layout with the kernels that it checks."""

from __future__ import annotations

from dataclasses import dataclass, field

FIN, SYN, RST, ACK = 1, 2, 4, 16
INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, CLOSED, RESET = range(7)
HANDSHAKE = (INACTIVE, SYN_SENT, SYN_ACK_SENT)
FAR = 1 << 20
NS = 1_000_000_000
L4_BAD, L4_OFFLOAD, L4_UNCHECKED = 4, 8, 512


@dataclass
class Packet:
    ts: int  # ns
    src: int
    dst: int
    sport: int
    dport: int
    proto: int = 6
    flags: int = 0
    seq: int = 0
    ack: int = 0
    payload: int = 0
    cap: int | None = None  # payload bytes captured; None: all
    window: int = 1000
    ip_bytes: int = 40
    marks: int = 32
    vlan: int = -1
    offset: int = 0


def delta(a: int, b: int) -> int:
    d = (a - b) & 0xFFFFFFFF
    return d - (1 << 32) if d >= 1 << 31 else d


class Stream:
    """The reassembler of one direction: blocks that were seen and not acknowledged, and what was delivered."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []
        self.delivered = 1
        self.trimmed = 1
        self.skip = False

    def insert(self, low: int, high: int) -> None:
        for a, b in self.blocks:
            if low < a < high:
                self.insert(low, a)
                self.insert(a, high)
                return
            if a <= low < b:
                if high > b:
                    self.insert(b, high)
                return
        self.blocks.append((low, high))
        self.blocks.sort()
        self.deliver()

    def deliver(self) -> None:
        for a, b in self.blocks:
            if a <= self.delivered < b:
                self.delivered = b

    def forget_acked(self, upto: int) -> None:
        self.blocks = [(a, b) for a, b in self.blocks if b > upto]
        self.trimmed = upto


@dataclass
class End:
    orig: bool
    state: int = INACTIVE
    prev: int = INACTIVE
    start: int = 0
    last: int = 0
    acked: int = 0
    seq_wraps: int = 0
    ack_wraps: int = 0
    fin_count: int = 0
    fin_seq: int = 0
    closed: bool = False
    eof: bool = False
    flags: int = 0
    payload: int = 0
    pkts: int = 0
    bytes: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"t": 0, "w": 0, "g": 0, "c": 0})
    hist: dict[str, int] = field(default_factory=lambda: {"S": 0, "F": 0, "R": 0})
    stream: Stream = field(default_factory=Stream)
    right: bool = False
    wrong: int = 0

    def number(self, first: int, last: int) -> None:
        self.start = self.acked = first
        self.last = last
        self.seq_wraps = self.ack_wraps = 0

    def nothing_acked(self) -> bool:
        return (self.ack_wraps << 32) + self.acked in (self.start, self.start + 1)

    def advance(self, seq: int) -> None:
        if seq < self.last:
            self.seq_wraps += 1
        self.last = seq


class Flow:
    def __init__(self, model: Model, n: int, p: Packet, key: tuple[int, ...]) -> None:
        self.model, self.n, self.key, self.proto = model, n, key, p.proto
        self.first = self.last = self.end = p.ts
        self.ends = [End(True), End(False)]
        self.addresses = [(p.src, p.sport), (p.dst, p.dport)]
        self.history = ""
        self.seen: set[tuple[bool, str]] = set()
        self.deadline: int | None = None
        self.attempt_at: int | None = p.ts + model.close if p.proto == 6 else None
        self.settled = False
        self.partial = False
        self.first_seen = [False, False]
        self.deferred = False
        self.syn_ts: int | None = None
        self.rtt: int | None = None
        self.vouched = self.doubted = False
        self.offsets: list[int] = []
        self.slices: dict[int, list[int]] = {}
        self.minute = 0
        self.reason: int | None = None
        if model.flips(p):
            self.addresses.reverse()
            self.history = "^"

    # -- letters
    def letter(self, end: End, letter: str) -> None:
        self.history += letter if end.orig else letter.lower()

    def once(self, end: End, key: str, letter: str) -> bool:
        if (end.orig, key) in self.seen:
            return True
        self.seen.add((end.orig, key))
        self.letter(end, letter)
        return False

    def scaled(self, end: End, letter: str) -> None:
        end.counts[letter.lower()] += 1
        if str(end.counts[letter.lower()]).strip("0") == "1":
            self.letter(end, letter)

    # -- when it is over
    def over(self, now: int) -> int:
        a, b = self.ends
        if self.deadline is not None and now >= self.deadline:
            return 3
        if self.attempt_at is not None and now >= self.attempt_at:
            if a.state in HANDSHAKE and b.state == INACTIVE:
                return 1
            self.attempt_at = None
        quiet = now - self.last
        if self.proto == 6 and (a.closed or b.closed) and quiet > self.model.close:
            both = a.closed and b.closed
            if both or RESET in (a.state, b.state) or INACTIVE in (a.state, b.state):
                return 3
        if self.proto == 6:
            limit = self.model.tcp_idle if self.settled else self.model.udp_idle
        else:
            limit = self.model.icmp_idle if self.proto in (1, 58) else self.model.udp_idle
        return 1 if quiet >= limit else 0

    def anew(self, p: Packet) -> bool:
        a, b = self.ends
        if self.proto != 6 or not p.flags & SYN:
            return False
        first = a
        if p.flags & ACK:
            if a.state != INACTIVE:
                return False
            first = b
        if not (a.closed or b.closed):
            if p.seq == first.start:
                return False
            if not p.flags & ACK and a.state == SYN_ACK_SENT and b.state == INACTIVE and p.seq == b.start:
                return False
        return True

    # -- one packet
    def take(self, p: Packet, side: int) -> None:
        end = self.ends[side]
        bad = bool(p.marks & self.model.bad_mask) and not p.marks & self.model.good_mask
        believed = True
        if bad:
            end.wrong += 1
            control = self.proto == 6 and bool(p.flags & (SYN | FIN | RST))
            if self.model.believing and not (control and end.right):
                self.doubted = True
                self.vouched |= side == 1
            else:
                believed = False
                if self.proto in (6, 17):
                    end.counts["c"] = end.wrong - 1
                    self.scaled(end, "C")
        else:
            self.vouched = True
            end.right |= not p.marks & (L4_OFFLOAD | L4_UNCHECKED)
        if self.proto == 6:
            end.flags |= p.flags
        counted = end
        if believed and self.proto == 6:
            self.tcp(p, side)
        elif believed:
            self.last = p.ts
            end.state = 1
            end.payload += p.payload
            if self.proto == 17:
                self.once(end, "D", "D")
        counted.pkts += 1
        counted.bytes += p.ip_bytes
        self.end = max(self.end, p.ts)
        self.offsets.append(p.offset)
        self.minute = max(self.minute, (p.ts - self.first) // (60 * NS))
        row = self.slices.setdefault(self.minute, [0, 0, 0, 0])
        place = 0 if counted is self.ends[0] else 1
        row[place] += 1
        row[2 + place] += p.ip_bytes

    def set_state(self, end: End, peer: End, new: int) -> None:
        if new != end.state:
            if new not in HANDSHAKE and end.state in HANDSHAKE and peer.state in HANDSHAKE:
                self.settled = True
            end.prev, end.state = end.state, new

    def tcp(self, p: Packet, side: int) -> None:
        end, peer = self.ends[side], self.ends[1 - side]
        syn, fin, rst, ack = (bool(p.flags & f) for f in (SYN, FIN, RST, ACK))
        if not self.first_seen[side]:
            if side == 0:
                self.partial = not syn or ack
            elif not self.partial:
                self.partial = not syn
        segment = (0 if rst else p.payload) + syn + fin
        past = (p.seq + segment) & 0xFFFFFFFF
        self.begin(end, syn, p.seq, past)
        relative = self.relative(end, p.seq, end.last, end.seq_wraps)
        self.letters(end, syn, fin, rst, ack, relative, p.payload)
        if p.window == 0 and not rst and end.state != RESET and peer.state != CLOSED:
            self.scaled(end, "W")
        if not (end.closed and peer.closed):
            self.last = p.ts
        if syn and side == 0 and not ack:
            self.syn_ts = p.ts
        if syn and side == 1 and ack and self.syn_ts is not None and self.rtt is None:
            self.rtt = (p.ts - self.syn_ts) // 1000
        if fin:
            end.fin_count += 1
            end.fin_seq = relative + segment
        relative_ack = 0
        if ack:
            relative_ack = self.acknowledge(peer, p.ack, rst)
        self.update_last(end, past, p)
        closes = self.move(end, peer, p)
        if ack:
            self.ack_received(peer, end, relative_ack)
        self.first_seen[self.ends.index(end)] = True
        cap = p.payload if p.cap is None else p.cap
        if p.payload and not rst and relative >= 0 and cap >= p.payload:
            self.data(end, peer, relative + syn, p.payload)
        self.check_eof(end, peer)
        if closes:
            self.close(end, peer)

    @staticmethod
    def begin(end: End, syn: bool, seq: int, past: int) -> None:
        if end.state == INACTIVE:
            if syn:
                end.number(seq, past)
            else:
                end.number((seq - 1) & 0xFFFFFFFF, seq)
        elif syn and end.state in (SYN_SENT, SYN_ACK_SENT):
            if seq != end.start:
                end.number(seq, past)
        elif syn and (end.state in (ESTABLISHED, PARTIAL) or (end.state == RESET and end.prev == INACTIVE)):
            end.number(seq, past)

    @staticmethod
    def relative(end: End, number: int, last: int, wraps: int) -> int:
        d = delta(number, last)
        if d < 0 and wraps and number > last:
            wraps -= 1
        elif d > 0 and number < last:
            wraps += 1
        if wraps == 0:
            return delta(number, end.start)
        return (wraps << 32) + number - end.start

    def letters(self, end: End, syn: bool, fin: bool, rst: bool, ack: bool, relative: int, length: int) -> None:
        if syn + fin + rst > 1:
            self.once(end, "I" if fin and rst else "Q", "I" if fin and rst else "Q")
        elif syn or fin or rst:
            key, letter = ("S", "H" if ack else "S") if syn else ("F", "F") if fin else ("R", "R")
            place = relative + length if fin else relative
            if self.once(end, key, letter) and place != end.hist[key]:
                self.letter(end, letter)
            end.hist[key] = place
        elif length:
            self.once(end, "D", "D")
        elif ack:
            self.once(end, "A", "A")

    @staticmethod
    def acknowledge(peer: End, ack: int, rst: bool) -> int:
        if peer.state == INACTIVE:
            peer.number((ack - 1) & 0xFFFFFFFF, (ack - 1) & 0xFFFFFFFF)
            return 1
        relative = Flow.relative(peer, ack, peer.acked, peer.ack_wraps)
        if relative < 0:
            return 0
        if not rst:
            d = delta(ack, peer.acked)
            if d > 0 and not (ack == 0 and d > FAR):
                if ack < peer.acked:
                    peer.ack_wraps += 1
                peer.acked = ack
        return relative

    def update_last(self, end: End, past: int, p: Packet) -> None:
        d = delta(past, end.last)
        if p.flags & (SYN | RST) and abs(d) > FAR:
            return
        if p.flags & FIN and (d > 0 or d < -FAR) and end.last == (end.start + 1) & 0xFFFFFFFF:
            end.advance(past)
        elif end.state == RESET:
            return
        elif d > 0:
            end.advance(past)
        elif p.payload > 0:
            self.scaled(end, "T")

    def move(self, end: End, peer: End, p: Packet) -> bool:
        syn, fin, rst, ack = (bool(p.flags & f) for f in (SYN, FIN, RST, ACK))
        closes = False
        if end.state == INACTIVE:
            return self.move_inactive(end, peer, p)
        if end.state in (SYN_SENT, SYN_ACK_SENT):
            if fin:
                self.set_state(end, peer, CLOSED)
                closes = True
            if rst:
                self.set_state(end, peer, RESET)
                closes = True
        elif end.state in (ESTABLISHED, PARTIAL):
            if syn and end.state == PARTIAL and peer.state == INACTIVE and not ack:
                self.set_state(end, peer, SYN_SENT)
            if fin and not rst:
                self.set_state(end, peer, CLOSED)
                if peer.state == RESET and peer.prev == CLOSED:
                    self.set_state(peer, end, CLOSED)
                closes = True
            if rst:
                self.set_state(end, peer, RESET)
                closes = True
        elif end.state == CLOSED and rst and peer.state != CLOSED:
            self.set_state(end, peer, RESET)
            closes = not end.closed
        return closes

    def move_inactive(self, end: End, peer: End, p: Packet) -> bool:
        syn, fin, rst, ack = (bool(p.flags & f) for f in (SYN, FIN, RST, ACK))
        closes = False
        if syn:
            if end.orig:
                self.set_state(end, peer, SYN_ACK_SENT if ack else SYN_SENT)
                self.attempt_at = p.ts + self.model.close
            else:
                if not ack and peer.state == SYN_ACK_SENT and p.seq == end.start:
                    self.flip()
                    self.set_state(peer, end, ESTABLISHED)
                    self.first_seen[0] = True
                if peer.state == SYN_SENT:
                    self.set_state(peer, end, ESTABLISHED)
                self.set_state(end, peer, ESTABLISHED)
        if fin:
            self.set_state(end, peer, CLOSED)
            closes = True
        if rst:
            self.set_state(end, peer, RESET)
            closes = True
        if end.state == INACTIVE:
            if not end.orig and p.payload == 0 and self.ends[0].state == SYN_SENT:
                pass
            elif ack and peer.state == ESTABLISHED:
                self.set_state(end, peer, ESTABLISHED)
                self.partial = False
            else:
                self.set_state(end, peer, PARTIAL)
        return closes

    def flip(self) -> None:
        self.ends.reverse()
        self.addresses.reverse()
        self.first_seen.reverse()
        for row in self.slices.values():
            row[0], row[1], row[2], row[3] = row[1], row[0], row[3], row[2]
        for end in self.ends:
            end.orig = not end.orig
        self.partial = False
        self.history += "^"

    # -- the stream
    def data(self, end: End, peer: End, low: int, length: int) -> None:
        s = end.stream
        if s.skip:
            return
        high = low + length
        if high <= s.trimmed:
            return
        before = s.delivered
        s.insert(max(low, s.trimmed), high)
        if s.delivered > before and end.nothing_acked() and self.size(end, peer) > 16384:
            s.forget_acked(s.delivered)
        top = max((b for _, b in s.blocks), default=s.trimmed)
        if (end.nothing_acked() and top - s.delivered > 16384) or sum(b - a for a, b in s.blocks) > 10 << 20:
            s.blocks = []
            s.skip = True

    def gap(self, end: End) -> None:
        if all(e.state == ESTABLISHED or (e.state == CLOSED and e.prev == ESTABLISHED) for e in self.ends):
            self.scaled(end, "G")

    def ack_received(self, end: End, peer: End, relative: int) -> None:
        s = end.stream
        if end.fin_count and relative >= end.fin_seq:
            relative = end.fin_seq - 1
        if relative <= s.trimmed:
            return
        if relative > s.delivered and not (relative <= 2 and self.partial):
            if not s.skip:
                while True:
                    above = [a for a, _ in s.blocks if s.delivered < a < relative]
                    if not above:
                        break
                    self.gap(end)
                    s.delivered = min(above)
                    s.deliver()
                if relative > s.delivered:
                    self.gap(end)
            s.delivered = max(s.delivered, relative)
        s.forget_acked(relative)
        s.deliver()
        self.check_eof(end, peer)

    def waits(self, end: End, peer: End) -> bool:
        s = end.stream
        if s.skip:
            return False
        missing = (end.seq_wraps << 32) + end.last - end.start - s.delivered
        if missing < 0:
            return False
        if missing > 1:
            return True
        return end.state != RESET and bool(peer.stream.blocks)

    def check_eof(self, end: End, peer: End) -> None:
        if not end.eof and (end.fin_count or end.state in (CLOSED, RESET)) and not self.waits(end, peer):
            end.eof = True
            if self.deferred:
                self.close(end, peer)
                self.deferred = False

    def close(self, end: End, peer: End) -> None:
        if self.waits(end, peer):
            self.deferred = True
            return
        self.deferred = False
        if end.closed:
            return
        end.closed = True
        if end.state == RESET or peer.closed or peer.state == INACTIVE:
            due = self.last + self.model.close
            self.deadline = due if self.deadline is None else min(due, self.deadline)
            self.attempt_at = None

    @staticmethod
    def size(end: End, peer: End) -> int:
        if end.prev == SYN_SENT and end.state == RESET and peer.state == INACTIVE and not end.nothing_acked():
            return 0
        size = max((end.seq_wraps << 32) + end.last, (end.ack_wraps << 32) + end.acked) - end.start
        if size < 0:
            size += 1 << 32
        if size:
            size -= 1
        if size and end.fin_count:
            size -= 1
        return size

    def conn_state(self) -> str:
        a, b = self.ends
        if self.doubted and not self.vouched:
            return "OTH"
        if self.proto == 17:
            return {(1, 1): "SF", (1, 0): "S0", (0, 1): "SHR"}.get((a.state, b.state), "OTH")
        if self.proto != 6:
            return "OTH"
        silent = (INACTIVE, PARTIAL)
        if b.state == RESET:
            if a.state in (SYN_SENT, SYN_ACK_SENT):
                return "REJ"
            if a.state == RESET and self.size(a, b) == 0 == self.size(b, a):
                return "REJ"
            return "RSTRH" if a.state in silent else "RSTR"
        if a.state == RESET:
            if b.state not in silent:
                return "RSTO"
            letters = self.history.removeprefix("^")
            reset = letters.find("R")
            plain = letters.startswith("S") and reset > 0 and not set(letters[1:reset]) & set("HAFGIQ")
            return "RSTOS0" if plain else "OTH"
        if a.state == CLOSED == b.state:
            return "SF"
        if a.state == CLOSED:
            return "SH" if b.state in silent else "S2"
        if b.state == CLOSED:
            return "SHR" if a.state in silent else "S3"
        if a.state == SYN_SENT and b.state == INACTIVE:
            return "S0"
        return "S1" if a.state == b.state == ESTABLISHED else "OTH"

    def row(self) -> dict[str, object]:
        a, b = self.ends
        doubt = self.doubted and not self.vouched
        history = self.history
        if doubt:
            letters = "C" * len(str(a.wrong)) if self.proto in (6, 17) else ""
            history = ("^" if history.startswith("^") else "") + letters
        tcp = self.proto == 6
        blocks = sorted({o >> 22 for o in self.offsets})
        return {
            "n": self.n,
            "src": self.addresses[0],
            "dst": self.addresses[1],
            "proto": self.proto,
            "conn_state": self.conn_state(),
            "history": history or None,
            "pkts": (a.pkts, b.pkts),
            "bytes": (a.bytes, b.bytes),
            "payload": (0, 0) if doubt else (self.size(a, b), self.size(b, a)) if tcp else (a.payload, b.payload),
            "flags": (a.flags, b.flags) if tcp else (None, None),
            "rtt_us": self.rtt,
            "retransmits": a.counts["t"] + b.counts["t"] if tcp else None,
            "end_reason": self.reason,
            "ts": self.first // 1000,
            "ts_end": self.end // 1000,
            "duration": 0.0 if doubt else max(0, self.last - self.first) / NS,
            "offsets": (self.offsets[0], self.offsets[-1]),
            "blocks": blocks if blocks[-1] - blocks[0] >= 16 else [],
            "slices": [(m, *r) for m, r in sorted(self.slices.items())] if self.minute else [],
        }


class Model:
    def __init__(
        self,
        tcp_idle: float = 300,
        tcp_close: float = 5,
        udp_idle: float = 60,
        icmp_idle: float = 60,
        checksums: str = "auto",
        servers: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self.tcp_idle, self.close = int(tcp_idle * NS), int(tcp_close * NS)
        self.udp_idle, self.icmp_idle = int(udp_idle * NS), int(icmp_idle * NS)
        self.bad_mask = {"verify": L4_BAD | L4_OFFLOAD, "auto": L4_BAD, "ignore": 0}[checksums]
        self.good_mask = L4_OFFLOAD if checksums == "auto" else 0
        self.believing = checksums == "auto"
        self.servers = servers
        self.open: dict[tuple[int, ...], Flow] = {}
        self.rows: list[dict[str, object]] = []
        self.n = 0
        self.now = 0

    def flips(self, p: Packet) -> bool:
        src, dst = (p.proto, p.sport) in self.servers, (p.proto, p.dport) in self.servers
        if p.dst == 0xFFFFFFFF or not src:
            return False
        if p.proto == 17:
            return not dst
        if p.proto != 6 or p.flags & (SYN | ACK) == SYN:
            return False
        return (not p.flags & SYN and p.sport < p.dport) if dst else True

    def packet(self, p: Packet) -> None:
        a, b = (p.src, p.sport), (p.dst, p.dport)
        key = (p.proto, max(p.vlan, 0), *min(a, b), *max(a, b))
        flow = self.open.get(key)
        self.now = max(self.now, p.ts)
        if flow is not None:
            reason = flow.over(p.ts) or (3 if flow.anew(p) else 0)
            if reason:
                self.finish_flow(flow, reason)
                flow = None
        if flow is None:
            flow = self.open[key] = Flow(self, self.n, p, key)
            self.n += 1
        flow.take(p, 0 if a == flow.addresses[0] else 1)

    def finish_flow(self, flow: Flow, reason: int) -> None:
        flow.reason = reason
        self.rows.append(flow.row())
        del self.open[flow.key]

    def finish(self) -> list[dict[str, object]]:
        for flow in list(self.open.values()):
            closing = flow.proto == 6 and flow.deadline is not None
            self.finish_flow(flow, flow.over(self.now) or (3 if closing else 4))
        return sorted(self.rows, key=lambda r: r["n"])  # type: ignore[arg-type,return-value]
