"""Messages of many exporters to records: one buffer of rows for all of them, handed on whenever it is full.

Nothing here waits or looks at a clock: the caller says when a message came, and from whom.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.telemetry import ipfix, netflow5, netflow9, sflow
from workbench.decode.telemetry.exporters import MAX_EXPORTERS, Domain, Exporter, Room
from workbench.decode.telemetry.kernels import AT, BROKEN, COUNT, count_set, decode_set
from workbench.decode.telemetry.sets import give_up
from workbench.decode.telemetry.tallying import Tally
from workbench.decode.telemetry.templates import SLOT, Template
from workbench.decode.telemetry.wire import Wire
from workbench.records import telemetry as record

#: Rows that are handed on together: 3 MB, which stays in the cache of the kernel that pairs them for the most part.
ROWS: Final = 8192

Rows = NDArray[np.int64]
Sink = Callable[[Rows], None]


@dataclass(frozen=True, slots=True)
class Message:
    """What the transport says of a message. number: from 1, a frame's where it came in one; ts: ns since 1970, 0 unknown."""

    number: int
    ts: int = 0
    address: str = ""
    port: int = 0


class Collector:
    """Feed it messages; records go to `sink` in rows of `record.SLOTS`, valid until it returns.

    samples: takes what sFlow samples; None where that is not wanted.
    """

    def __init__(self, sink: Sink, samples: sflow.Samples | None = None, rows: int = ROWS) -> None:
        self.exporters: list[Exporter] = []
        self.tally = Tally()
        self.samples = samples
        self.room = Room()
        self.learned = 0  # templates that came, changed or went
        self._sink = sink
        self._by_key: dict[tuple[str, str], Exporter] = {}
        self._rows = np.empty((rows, record.SLOTS), np.int64)
        self._used = 0
        self._result = np.zeros(3, np.int64)

    # -- messages ---------------------------------------------------------------------------------

    def take(self, buf: Wire, start: int, end: int, message: Message) -> bool:
        """Whatever telemetry stands in buf[start:end], one message or several behind each other; False where none does."""
        at = start
        while at < end:
            after = self._one(buf, at, end, message)
            if after <= at:
                break
            at = after
        return at > start

    def _one(self, buf: Wire, at: int, end: int, message: Message) -> int:
        """The message at `at`; where it ends, or `at` where there is none."""
        version = struct.unpack_from(">H", buf, at)[0] if end - at >= 4 else -1
        if version == 10 and (length := ipfix.length_of(buf, at, end)):
            after = min(end, at + length)
            ipfix.take(self, buf, at, after, message)
        elif version == 9 and end - at >= netflow9.HEADER:
            after = netflow9.take(self, buf, at, end, message)
        elif version == 5 and (length := netflow5.length_of(buf, at, end)):
            after = min(end, at + length)
            netflow5.take(self, buf, at, after, message)
        elif version == 0 and sflow.is_message(buf, at, end):
            after = sflow.take(self, buf, at, end, message)
        else:
            return at
        return after

    def exporter(self, kind: str, message: Message) -> Exporter | None:
        """Who sent it, told that a message came; None where there are too many, which is counted."""
        key = (message.address, kind)
        found = self._by_key.get(key)
        if found is None:
            if len(self.exporters) >= MAX_EXPORTERS:
                self.tally.add("exporters_full", 1, message.number)
                return None
            found = self.known(kind, message.address)
        found.came(message.ts)
        return found

    def known(self, kind: str, address: str) -> Exporter:
        """The exporter, made where there is none yet. No message of it needs to have come."""
        found = self._by_key.get((address, kind))
        if found is None:
            found = self._by_key[address, kind] = Exporter(len(self.exporters), kind, address, self.room)
            self.exporters.append(found)
        return found

    # -- records ----------------------------------------------------------------------------------

    def decode(
        self, exporter: Exporter, domain: Domain, template: Template, buf: Wire, at: int, end: int, message: int
    ) -> tuple[int, bool]:
        """Records of buf[at:end] into rows; how many there are, and whether the set contradicts itself."""
        if not template.flows:
            count, broken = self.count(template, buf, at, end)
            exporter.tally.add("records_unkeyed", count, message, f"template {template.number} of {domain.name}")
            exporter.records += count
            return count, broken
        first = domain.first
        first[record.EXPORTER], first[record.DOMAIN] = exporter.number, domain.number
        first[record.MESSAGE], first[record.EXPORTED] = message, domain.clock[0]
        first[record.SAMPLING] = domain.sampling
        total, result = 0, self._result
        while True:
            used = self._used
            args = (template.plan, template.size, int(template.variable), first, domain.clock, self._rows, used, result)
            decode_set(buf, at, end, *args)
            count = int(result[COUNT])
            at = int(result[AT])
            if domain.samplers:
                _rates(self._rows[used : used + count], domain.samplers, template)
            self._used += count
            total += count
            if result[BROKEN] or self._used < len(self._rows):
                break
            self.flush()
        exporter.records += total
        return total, bool(result[BROKEN])

    def count(self, template: Template, buf: Wire, at: int, end: int) -> tuple[int, bool]:
        """How many records buf[at:end] holds, and whether it contradicts itself."""
        if not template.variable:
            return max(0, end - at) // template.size, False
        count_set(buf, at, end, template.plan, template.size, self._result)
        return int(self._result[COUNT]), bool(self._result[BROKEN])

    def flush(self) -> None:
        """Hand on the rows there are."""
        if self._used:
            used, self._used = self._used, 0
            self._sink(self._rows[:used])

    def finish(self) -> None:
        """No more messages: what waits for a template waits in vain."""
        for exporter in self.exporters:
            for domain in exporter.domains.values():
                for held in domain.held:
                    give_up(exporter, domain, held)
                domain.held = []
        self.flush()


def _rates(rows: Rows, samplers: dict[int, int], template: Template) -> None:
    """The sampling of records that name their sampler."""
    if record.SAMPLER not in template.plan[:, SLOT]:
        return
    for sampler, rate in samplers.items():
        rows[rows[:, record.SAMPLER] == sampler, record.SAMPLING] = rate
