"""One source of a collector, its port or an exporter: its row, what was stored of it, what the ledger is told."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import UsageError
from workbench.records.reasons import LedgerLine
from workbench.workflows.live_source import packets_of
from workbench.workflows.requests import AttachRequest

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.decode.telemetry.remembering import Known
    from workbench.workflows.live_telemetry import FeedState

_EPOCH: Final = dt.datetime(1970, 1, 1)


@dataclass(slots=True)
class Collected:
    """row: of `sources`. state: as the worker last told. open: its open flows as last shown. stored: packets of rows stored.

    lines: what else happened to it. changed: whether its rows in the case are behind.
    """

    row: dict[str, Any]
    state: FeedState | None = None
    open: pa.RecordBatch | None = None
    stored: int = 0
    lines: list[LedgerLine] = field(default_factory=list)
    changed: bool = True

    @property
    def source_id(self) -> int:
        """Its number in the case."""
        return int(self.row["source_id"])

    def keep(self, table: str, batch: pa.RecordBatch) -> None:
        """Rows of it were stored."""
        if table == "flows":
            self.stored += packets_of(batch)
        elif table == "arp":
            self.stored += int(batch.num_rows)

    def describe(self) -> dict[str, Any]:
        """Bring the row up to date: what of it changes while telemetry comes."""
        state = self.state
        if state is None:
            return {}
        fields = {
            "packets": state.packets,
            "flows": state.flows,
            "ts_first": _time(state.ts_first),
            "ts_last": _time(state.ts_last),
        }
        self.row.update(fields)
        return fields

    def broken_off(self, when: str, why: str) -> None:
        """Its decoder died: what stands for it is what was stored, and what was open as last shown."""
        self.describe()
        kept = self.open
        if kept is not None and kept.num_rows:
            self.lines.append(LedgerLine("open_lost", kept.num_rows, (), f"{when}: as they were a second before"))
            self.stored += packets_of(kept)
        self.row["packets"] = self.stored
        self.changed = False  # what the decoder told of it no longer holds
        self.row["state"], self.row["detail"] = "partial", why

    def ledger(self) -> list[LedgerLine]:
        """What it knows of what was not seen."""
        return [*(self.state.lines if self.state is not None else ()), *self.lines]


class Memory:
    """What the worker knows of its exporters, for the next one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, tuple[int, int]], Known] = {}

    @property
    def known(self) -> tuple[Known, ...]:
        """All of it."""
        return tuple(self._known.values())

    def take(self, known: tuple[Known, ...], *, templates: bool) -> None:
        """As it is now; templates: whether those come with it, else they are as before."""
        before, self._known = self._known, {}
        for one in known:
            at = (one.kind, one.address, one.key)
            old = before.get(at)
            told = one.templates if templates else old.templates if old is not None else None
            self._known[at] = replace(one, templates=told)


def _time(ns: int | None) -> dt.datetime | None:
    return None if ns is None else _EPOCH + dt.timedelta(microseconds=ns // 1000)


def check_request(request: AttachRequest) -> None:
    """UsageError where it has options that are for captures."""
    for given, name in ((request.bpf, "--bpf"), (request.keep_payload, "--keep-payload"), (request.snaplen, "--snaplen")):
        if given:
            raise UsageError(
                f"{name} is for packets; {request.source} takes telemetry", "Leave it out; --exporter says who may send."
            )
