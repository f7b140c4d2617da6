"""One source of an attach run: its row, what the worker last said of it, and everything else that happened to it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from workbench.records.links import link_name
from workbench.records.reasons import BY_NAME as REASONS
from workbench.records.reasons import LedgerLine
from workbench.records.visible import path_text
from workbench.workflows.evidence import EvidenceFile
from workbench.workflows.live_worker import LiveTick

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH: Final = dt.datetime(1970, 1, 1)
#: What dumpcap notes on every capture of its own.
_OWN_COMMENT: Final = "Counters provided by dumpcap"
#: Times without a capture that are told one by one.
_GAPS_TOLD: Final = 5


@dataclass(slots=True)
class LiveSource:
    """row: of `sources`. program_dropped: lost by captures that are over, as their programs said, None where none did.

    partial: why it is not whole. open: the open flows as the worker last showed them. stored: packets of rows stored. broken: its
    decoder died: its packets are those that the case holds, and those that were counted as undecoded.
    """

    row: dict[str, Any]
    tick: LiveTick | None = None
    lines: list[LedgerLine] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    open: pa.RecordBatch | None = None
    files: list[EvidenceFile] = field(default_factory=list)
    program_dropped: int | None = None
    done: bool = False
    partial: str | None = None
    stored: int = 0
    broken: bool = False

    @property
    def source_id(self) -> int:
        """Its number in the case."""
        return int(self.row["source_id"])

    @property
    def frames(self) -> int:
        """Packets it has taken so far, those that the filter keeps out included."""
        return self.tick.frames if self.tick is not None else 0

    def keep(self, table: str, batch: pa.RecordBatch) -> None:
        """Rows of it were stored."""
        if table == "flows":
            self.stored += packets_of(batch)
        elif table == "arp":
            self.stored += int(batch.num_rows)

    def broken_off(self, kept: pa.RecordBatch | None) -> None:
        """Its decoder died: what that told is of another moment than its rows. kept: what was open as last shown, which stays."""
        self.broken = True
        if kept is not None:
            self.keep("flows", kept)

    @property
    def packets(self) -> int:
        """Packets in flows, in `arp` and undecoded."""
        if self.tick is None or not self.broken:
            return self.tick.packets if self.tick is not None else 0
        return self.stored + sum(line.count for line in self.tick.lines if REASONS[line.reason].kind == "undecoded")

    def lost(self, n: int | None) -> None:
        """A capture of it is over and said that it lost so many."""
        if n is not None:
            self.program_dropped = (self.program_dropped or 0) + n

    def dropped(self, running: int | None) -> int | None:
        """Lost between the wire and us, as far as anybody says; running: by the present capture, as it said.

        The capture's own statistics say it once more in its end: the larger figure is the one that is complete.
        """
        said = [n for n in (self.program_dropped, running) if n is not None]
        own = self.tick.dropped if self.tick is not None else None
        return max(sum(said), own or 0) if said else own

    def describe(self, dropped: int | None) -> dict[str, Any]:
        """Bring the row up to date; what of it changes while packets come. Empty before the worker said anything."""
        tick = self.tick
        if tick is None:
            return {}
        fields: dict[str, Any] = {
            "packets": self.packets,
            "flows": tick.flows,
            "bytes": tick.bytes,
            "ts_first": _time(tick.ts_first),
            "ts_last": _time(tick.ts_last),
            "link_type": ",".join(link_name(n) for n in tick.links) or None,
            "snaplen": None if not tick.snaplens or 0 in tick.snaplens else max(tick.snaplens),
            "dropped": dropped,
        }
        self.row.update(fields)
        return fields

    def ledger(self, dropped: int | None) -> list[LedgerLine]:
        """What it knows of what was not seen."""
        said = [line for line in (self.tick.lines if self.tick is not None else ()) if line.detail != _OWN_COMMENT]
        lines = [*said, *self.lines]
        if dropped:
            lines.append(LedgerLine("dropped", dropped, (), "by the kernel, the interface or the program that captured"))
        if self.gaps:
            more = len(self.gaps) - _GAPS_TOLD
            told = "; ".join(self.gaps[:_GAPS_TOLD]) + (f"; and {more} more" if more > 0 else "")
            lines.append(LedgerLine("capture_gap", len(self.gaps), (), told))
        return lines

    def end(self, why: str | None) -> None:
        """It takes no more packets; why: what ended it before its time. Its row says how it went."""
        self.done = True
        self.partial = why or self.partial
        if self.tick is not None and not self.frames and not self.partial:
            self.row["state"], self.row["detail"] = "ok", "nothing arrived"
        else:
            broken = self.partial or self.gaps
            self.row["state"], self.row["detail"] = ("partial", self.partial) if broken else ("ok", None)

    def file_rows(self) -> list[dict[str, Any]]:
        """Its evidence as rows of `source_files`."""
        return [
            {
                "source_id": self.source_id,
                "n": n,
                "path": path_text(f.path),
                "sha256": f.sha256,
                "bytes": f.bytes if f.done else None,
                "first_offset": f.first_offset,
                "mtime_ns": f.mtime_ns,
            }
            for n, f in enumerate(self.files)
        ]


def packets_of(batch: pa.RecordBatch) -> int:
    """Packets of rows of `flows`, both directions."""
    import pyarrow.compute as pc

    return sum(int(pc.sum(batch.column(name)).as_py() or 0) for name in ("src_pkts", "dst_pkts"))


def _time(ns: int | None) -> dt.datetime | None:
    return None if ns is None else _EPOCH + dt.timedelta(microseconds=ns // 1000)
