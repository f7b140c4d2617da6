"""Cases made of nothing: fixed rows, and as many of them as asked for."""

from __future__ import annotations

import datetime as dt
import ipaddress
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tests.store.rows import halves
from workbench.dissect.lines import Line, Node
from workbench.errors import CancelledError, ExternalError, FilterError
from workbench.filters import Completion, compile_filter, complete
from workbench.records.arrow import arrow_schema
from workbench.store.notebook import Notebook
from workbench.tui.data import Amount, Bins, Span, Summary, View, Wrong
from workbench.tui.figures import from_us, to_us
from workbench.workflows.carve import CarveProgress, CarveRequest, CarveResult, Frame

START = to_us(dt.datetime(2026, 3, 14, 9, 26, 53, 589_793))
STATES = ("SF", "S0", "REJ", "S1", "RSTO", "OTH")
SERVICES = ("tls", "dns", None, "http", "ssh", None)


def flow(n: int, **changes: Any) -> dict[str, Any]:
    """Flow n: every column filled, the same each time."""
    tcp = n % 4 != 1
    begin = START + n * 137_000
    lasts = (n * 7919 % 90_000) / 1000
    row: dict[str, Any] = {
        "flow_id": (1 << 40) | n,
        "source_id": 1,
        "sensor": "mirror-p0",
        "network": "" if n % 3 else "vlan:100",
        "ts": from_us(begin),
        "ts_end": from_us(begin + int(lasts * 1e6)),
        "duration": lasts,
        "src_ip": f"10.20.{n // 250 % 250}.{n % 250 + 1}" if n % 9 else f"2001:db8:20::{n % 65536 + 1:x}",
        "dst_ip": f"192.168.{n * 7 % 250}.{n * 13 % 250 + 1}" if n % 9 else "2001:db8:ffff:1000:a1b2:c3d4:e5f6:1",
        "src_port": 49152 + n * 31 % 16000,
        "dst_port": (443, 53, 22, 80, 8000, 902)[n % 6],
        "proto": 6 if tcp else 17,
        "proto_name": "tcp" if tcp else "udp",
        "src_mac": "02:00:00:00:00:01",
        "dst_mac": "02:00:00:00:00:02",
        "vlan": None if n % 3 else 100,
        "service": SERVICES[n % 6],
        "conn_state": STATES[n % 6] if tcp else "SF",
        "history": "ShADadFf" if tcp else "Dd",
        "src_pkts": n * 37 % 20_000 + 1,
        "dst_pkts": n * 53 % 30_000,
        "src_bytes": n * 7_919_993 % 3_000_000_000 + 60,
        "dst_bytes": n * 104_729 % 90_000_000,
        "src_payload": n * 7_919 % 3_000_000,
        "dst_payload": n * 104_723 % 90_000_000,
        "src_flags": 0x1B if tcp else None,
        "dst_flags": 0x1B if tcp else None,
        "rtt_us": n * 211 % 180_000 if tcp else None,
        "retransmits": n % 5 if tcp else None,
        "end_reason": 3 if tcp else 1,
        "sampling": 1,
        "community_id": "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=",
        "first_offset": 24 + n * 1_234,
        "last_offset": 24 + n * 1_234 + 900_000,
    }
    if n % 7 == 0:
        row |= {
            "network": "vni:5001",
            "vni": 5001,
            "tunnel": "vxlan",
            "outer_src_ip": "172.16.0.11",
            "outer_dst_ip": "172.16.0.12",
            "outer_src_mac": "02:00:00:00:01:01",
            "outer_dst_mac": "02:00:00:00:01:02",
        }
    row |= {f"{side}_addr": packed(row[f"{side}_ip"]) for side in ("src", "dst")}
    return row | changes


def packed(ip: str) -> bytes:
    """16 bytes, IPv4 mapped."""
    found = ipaddress.ip_address(ip)
    return found.packed if found.version == 6 else bytes(10) + b"\xff\xff" + found.packed


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as the Arrow table that a page is."""
    schema = arrow_schema("flows")
    return pa.table([pa.array([row.get(f.name) for row in rows], f.type) for f in schema], names=schema.names)


SOURCE = {
    "source_id": 1,
    "kind": "pcapng",
    "path": "/captures/rack-7.pcapng",
    "sensor": "mirror-p0",
    "bytes": 1_234_567_890,
    "packets": 4_012_345,
    "flows": 300,
    "dropped": 12,
    "snaplen": 262_144,
    "state": "partial",
    "detail": "the last block is cut",
}
LEDGER = [
    {
        "source_id": 1,
        "reason": "link_control",
        "kind": "undecoded",
        "count": 412,
        "first_frames": "3,19,44",
        "detail": "LLDP 412",
    },
    {"source_id": 1, "reason": "llc", "kind": "undecoded", "count": 31, "first_frames": "7", "detail": ""},
    {"source_id": 1, "reason": "dropped", "kind": "unseen", "count": 12, "first_frames": None, "detail": None},
    {"source_id": 1, "reason": "cut", "kind": "unseen", "count": 816, "first_frames": None, "detail": "at byte 1,234,567,074"},
    {"source_id": 1, "reason": "clock_back", "kind": "note", "count": 2, "first_frames": "901,902", "detail": None},
]


_ENGINE = duckdb.connect()


def keeps(text: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that a filter keeps, by the real language and the real engine."""
    if not text.strip():
        return rows
    made = compile_filter(text, now=START)
    with _ENGINE.cursor() as con:  # a connection of its own; an engine for each costs twenty times as much
        numbered = [row | halves("src", row["src_ip"]) | halves("dst", row["dst_ip"]) for row in rows]
        con.register("flows", table(numbered))
        kept = {n for (n,) in con.execute(f"SELECT flow_id FROM flows WHERE {made.sql}", made.params).fetchall()}
    return [row for row in rows if row["flow_id"] in kept]


def touches(row: dict[str, Any], span: Span) -> bool:
    return to_us(row["ts"]) < span.end and to_us(row["ts_end"]) >= span.start


SECRET = "hunter2"


def frame(n: int, flow_id: int) -> Frame:
    """Packet n of a flow: 54 bytes of headers, then a secret."""
    data = bytes(range(54)) + SECRET.encode() + bytes(13)
    return Frame(n * 3 + 7, 1, flow_id, (START + n * 1000) * 1000, n * 90, 74, 74, 1, "p0", n % 2 == 0, 54, data)


class RowOrder:
    """An order over rows in a list."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.total = len(rows)
        self.pages: list[int] = []
        self.closed = False

    def page(self, start: int, count: int) -> pa.Table:
        self.pages.append(start)
        return table(self.rows[start : start + count])

    def position(self, flow_id: int) -> int | None:
        return next((n for n, row in enumerate(self.rows) if row["flow_id"] == flow_id), None)

    complete = True

    def ready(self, start: int, count: int) -> bool:
        return True

    def wait(self, seconds: float) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class EndlessOrder(RowOrder):
    """An order over rows that are made when they are asked for."""

    def __init__(self, total: int) -> None:
        super().__init__([])
        self.total = total

    def page(self, start: int, count: int) -> pa.Table:
        self.pages.append(start)
        return table([flow(n) for n in range(start, min(self.total, start + count))])

    def position(self, flow_id: int) -> int | None:
        return flow_id & ((1 << 40) - 1)


class RowQuestion:
    """What was said, by table and flow_id. gate: set while answers may come."""

    def __init__(self, said: dict[tuple[str, int], pa.Table], gate: threading.Event) -> None:
        self._said, self._gate = said, gate
        self.stopped = False

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        self._gate.wait()
        if self.stopped:
            raise CancelledError("stopped")
        table, most = sql.split('FROM "')[1].split('"')[0], int(sql.rsplit(" ", 1)[1])
        assert "?" in sql
        rows = self._said.get((table, params[0]))  # type: ignore[index]
        if rows is None:
            return pa.table({"of_flow": pa.array([], pa.int64())})
        return rows.append_column("of_flow", pa.array([rows.num_rows] * rows.num_rows)).slice(0, most)

    def stop(self) -> None:
        self.stopped = True


class RowCase:
    """A case whose flows are a list, or endless. gate: set while orders may go on."""

    def __init__(
        self, rows: list[dict[str, Any]] | int, sources: Sequence[dict[str, Any]] = (SOURCE,), ledger: Any = LEDGER
    ) -> None:
        self.rows = rows
        self.path = Path("/cases/rack-7")
        self.sources, self.ledger = sources, ledger
        self.orders: list[RowOrder] = []
        self.gate = threading.Event()
        self.gate.set()
        self.interrupted = threading.Event()
        self.generation = 0
        self.counted: list[str] = []
        self.found: list[tuple[str, int, int]] = []
        self.stopped = 0
        self.prepared = False
        self.packets, self.slow_from, self.without_tshark = 40, -1, False
        self.reads: list[tuple[int, int | None]] = []
        self.reasons: list[str] = []
        self.carved: list[CarveRequest] = []
        self.notebook: Notebook | None = None
        self.said: dict[tuple[str, int], pa.Table] = {}
        self.hearing = threading.Event()
        self.hearing.set()
        self.asked: list[RowQuestion] = []

    def question(self) -> Any:
        self.asked.append(RowQuestion(self.said, self.hearing))
        return self.asked[-1]

    def look(self) -> int:
        return self.generation

    def summary(self) -> Summary:
        if isinstance(self.rows, int):
            return Summary(self.sources, self.ledger, self.rows, Span(START, START + self.rows * 137_000 + 1))
        if not self.rows:
            return Summary(self.sources, self.ledger, 0, None)
        times = [to_us(row["ts"]) for row in self.rows] + [to_us(row["ts_end"]) for row in self.rows]
        return Summary(self.sources, self.ledger, len(self.rows), Span(min(times), max(times) + 1))

    def order(self, view: View) -> RowOrder:
        self.interrupted.clear()
        while not self.gate.wait(0.02):
            if self.interrupted.is_set():
                raise CancelledError("interrupted")
        sorting, span = view.sorting, view.span
        if isinstance(self.rows, int):
            order: RowOrder = EndlessOrder(self.rows)
        else:
            rows = [r for r in self.kept(view.filter) if span is None or touches(r, span)]
            none = [r for r in rows if r.get(sorting.column) is None]
            some = [r for r in rows if r.get(sorting.column) is not None]
            some.sort(key=lambda r: (r[sorting.column], r["flow_id"]), reverse=sorting.descending)
            order = RowOrder(some + none)
        self.orders.append(order)
        return order

    def kept(self, text: str) -> list[dict[str, Any]]:
        assert not isinstance(self.rows, int)
        return keeps(text, self.rows)

    def detect(self, progress: Any, cancel: threading.Event) -> Any:
        raise ExternalError("these flows are nowhere on disk", "")

    def check(self, text: str) -> Wrong | None:
        try:
            compile_filter(text, now=self.summary().extent.end)
        except FilterError as error:
            return Wrong.of(error)
        return None

    def complete(self, text: str, cursor: int) -> Sequence[Completion]:
        return complete(text, cursor, self.values)

    def values(self, column: str, prefix: str, limit: int, guard: str) -> list[str]:
        rows = [] if isinstance(self.rows, int) else self.rows
        return sorted({str(v) for row in rows if (v := row.get(column)) is not None and str(v).startswith(prefix)})[:limit]

    def amount(self, view: View) -> Amount:
        rows = [r for r in self.kept(view.filter) if view.span is None or touches(r, view.span)]
        packets, size = (sum(r[f"src_{what}"] + r[f"dst_{what}"] for r in rows) for what in ("pkts", "bytes"))
        return Amount(len(rows), packets, size)

    def timeline(self, span: Span, bins: int, kept: str) -> Bins:
        self.counted.append(kept)
        counts = np.zeros((3, bins), np.int64)
        rows = [flow(n) for n in range(300)] if isinstance(self.rows, int) else self.kept(kept)
        for row in rows:
            at = (to_us(row["ts"]) - span.start) * bins // span.width
            if 0 <= at < bins:
                counts[:, at] += (1, row["src_pkts"] + row["dst_pkts"], row["src_bytes"] + row["dst_bytes"])
        return Bins(span, counts[0], counts[1], counts[2])

    def moments(self, kept: str) -> Sequence[tuple[str, int, int]]:
        return self.found

    # -- packets ------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.prepared = True

    def frames(self, flow_id: int, start: int, limit: int | None, cancel: Callable[[], bool]) -> Iterator[Frame]:
        self.reads.append((start, limit))
        end = self.packets if limit is None else min(self.packets, start + limit)
        for n in range(start, end):
            if n == self.slow_from:
                while not self.gate.wait(0.02):
                    if cancel():
                        raise CancelledError("stopped")
            yield frame(n, flow_id)

    def lines(self, flow_id: int, start: int, limit: int) -> Sequence[Line]:
        if self.without_tshark:
            raise ExternalError("tshark is not installed", "Install the Debian package tshark.")
        return [
            Line(n * 3 + 7, 0, "", "", "TLS", 60 + n, f"words of {n}") for n in range(start, min(self.packets, start + limit))
        ]

    def tree(self, frame: Frame, reason: str | None) -> Sequence[Node]:
        if self.without_tshark:
            raise ExternalError("tshark is not installed", "Install the Debian package tshark.")
        if reason is not None:
            self.reasons.append(reason)
        secret = SECRET if reason is not None else "(masked, 7 bytes)"
        fields = (
            Node("ip.src", "Source Address", "10.20.0.5", False, 26, 4),
            Node("http.authorization", "Authorization", secret, reason is None, 66, 7),
        )
        return [
            Node("eth", "Ethernet", "", False, 0, 14),
            Node("ip", "Internet Protocol", "", False, 14, 20, fields[:1]),
            Node("http", "Hypertext Transfer Protocol", "", False, 54, 20, fields[1:]),
        ]

    def hex(self, frame: Frame, reason: str | None) -> Sequence[tuple[int, bytes | None]]:
        if reason is not None:
            return [(0, frame.data)]
        return [(0, frame.data[: frame.payload_at]), (frame.payload_at, None)]

    def stop_dissecting(self) -> None:
        pass

    def carve(self, request: CarveRequest, out: Path, progress: Any, cancel: Callable[[], bool]) -> CarveResult:
        self.carved.append(request)
        progress(CarveProgress(50, 100, 12, "/captures/rack-7.pcapng"))
        while not self.gate.wait(0.02):
            if cancel():
                raise CancelledError("stopped")
        out.write_bytes(b"packets")
        return CarveResult(41, 1, 7, ("one note",))

    def interrupt(self) -> None:
        self.stopped += 1
        self.interrupted.set()

    def close(self) -> None:
        pass


def rack_case() -> RowCase:
    """300 flows of a rack, a good part of them in two bursts."""
    rows = []
    for n in range(300):
        row = flow(n)
        if n > 200:
            at = START + 60_000_000 + (n - 200) * 41_000
            row |= {"ts": from_us(at), "ts_end": from_us(at + int(row["duration"] * 1e5))}
        rows.append(row)
    return RowCase(rows)
