"""What is remembered of an exporter between two messages: templates, numbering, sampling, data that waits. All of it bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.telemetry.tallying import Tally
from workbench.decode.telemetry.templates import Template
from workbench.records.telemetry import blank

#: Templates of a domain, domains of an exporter, exporters.
MAX_TEMPLATES: Final = 1024
MAX_DOMAINS: Final = 256
MAX_EXPORTERS: Final = 1024
#: Interfaces of an exporter whose counters are kept.
MAX_INTERFACES: Final = 4096
#: Samplers of a domain.
MAX_SAMPLERS: Final = 256
#: Bytes of data sets that wait for their templates, of a domain; and for how long (ns of the exporter's clock).
MAX_HELD: Final = 256 << 10
HOLD: Final = 600 * 1_000_000_000
#: What a data set takes that waits, beside its bytes.
HELD_COST: Final = 256
#: A domain that nothing came of for so long (ns) gives way to another: exporters may choose another port whenever they start.
_SILENT: Final = 1800 * 1_000_000_000
#: Numbers that are missing: beyond this many the exporter began anew.
MAX_LOST: Final = 1 << 24
_NUMBERS: Final = 1 << 32


class Room:
    """What all exporters of a collector may take together: about 200 MB where a hostile one sends all it can think of.

    domains; fields of templates (200 bytes each); samplers; interfaces; held: bytes that wait for templates.
    """

    def __init__(self) -> None:
        self.left = {"domains": 1 << 14, "fields": 1 << 18, "samplers": 1 << 16, "interfaces": 1 << 16, "held": 32 << 20}

    def take(self, what: str, n: int = 1) -> bool:
        """Whether there is room for n more; then it is taken."""
        there = self.left[what] >= n
        if there:
            self.left[what] -= n
        return there

    def give(self, what: str, n: int = 1) -> None:
        """n of it are free again."""
        self.left[what] += n


@dataclass(frozen=True, slots=True)
class Held:
    """A data set whose template is not known yet. data: its records; sent, boot: clock of its message."""

    template: int
    data: bytes
    sent: int
    boot: int
    message: int

    @property
    def cost(self) -> int:
        """Bytes that it takes."""
        return HELD_COST + len(self.data)


@dataclass(slots=True)
class Numbering:
    """Sequence numbers of one stream.

    unit: what an exporter counts: `records` before this message (RFC 7011), `messages`, or `total`, the records up to its end,
    as Open vSwitch and softflowd do.
    """

    unit: str
    last: int | None = None
    before: int | None = 0  # records of the message before; None where they could not be counted
    lost: int = 0

    def see(self, sequence: int, count: int, *, sure: bool, tally: Tally, message: int, where: str) -> None:
        """A message with this number, of that many records; sure: that all of them could be counted."""
        steps = {"records": self.before, "total": count if sure else None, "messages": 1}
        if self.last is not None:
            self._judge((sequence - self.last) % _NUMBERS, count)
            step = steps[self.unit]
            ahead = 0 if step is None else (sequence - self.last - step) % _NUMBERS
            if ahead > MAX_LOST:
                tally.add("exporter_restarted", 1, message, where)
            elif ahead:
                self.lost += ahead
                tally.add("telemetry_lost", ahead, message, f"{'messages' if self.unit == 'messages' else 'records'} of {where}")
        self.last, self.before = sequence, count if sure else None

    def _judge(self, step: int, count: int) -> None:
        """What this exporter counts, if it is not what its format says."""
        if self.unit == "records" and self.before is not None and step != self.before and count:
            if step == count:
                self.unit = "total"
            elif step == 1:
                self.unit = "messages"


@dataclass(slots=True)
class Domain:
    """One observation domain (IPFIX), source (NetFlow 9) or engine (NetFlow 5) of an exporter."""

    number: int
    numbering: Numbering
    templates: dict[int, Template] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    held_bytes: int = 0
    sampling: int = 0  # 1 in N for everything; 0 where nothing was said
    samplers: dict[int, int] = field(default_factory=dict)
    boot: int = 0  # ns, where options told it (IPFIX)
    heard: int = 0  # ns: when its last message came
    first: NDArray[np.int64] = field(default_factory=blank)
    clock: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))

    @property
    def name(self) -> str:
        """For the ledger."""
        return f"domain {self.number}"


@dataclass(slots=True)
class Exporter:
    """One exporter's telemetry of one kind: what becomes a source. number: its place in the collector's list."""

    number: int
    kind: str
    address: str
    room: Room = field(default_factory=Room)
    tally: Tally = field(default_factory=Tally)
    domains: dict[tuple[int, int], Domain] = field(default_factory=dict)
    messages: int = 0
    records: int = 0
    options: int = 0
    templates: int = 0
    active: int = 0  # s, the longest active timeout that its options tell
    interfaces: dict[int, dict[str, int]] = field(default_factory=dict)  # latest counters that are not zero, by index
    first: int | None = None  # ns: when messages came
    last: int | None = None

    def domain(self, number: int, session: int, unit: str) -> Domain | None:
        """The state of a domain in a transport session; None where there are too many."""
        found = self.domains.get((number, session))
        if found is None:
            if len(self.domains) >= MAX_DOMAINS:
                self._forget_silent()
            if len(self.domains) < MAX_DOMAINS and self.room.take("domains"):
                found = self.domains[number, session] = Domain(number, Numbering(unit))
        if found is not None:
            found.heard = self.last or 0
        return found

    def _forget_silent(self) -> None:
        """Drop the domain that was silent for longest, if that is long enough."""
        key, oldest = min(self.domains.items(), key=lambda item: item[1].heard)
        if (self.last or 0) - oldest.heard < _SILENT:
            return
        del self.domains[key]
        self.room.give("domains")
        self.room.give("samplers", len(oldest.samplers))
        self.room.give("fields", sum(len(t.fields) for t in oldest.templates.values()))
        for held in oldest.held:
            self.room.give("held", held.cost)
            self.tally.add("template_missing", 1, held.message, f"template {held.template} of {oldest.name}")

    def interface(self, index: int) -> dict[str, int]:
        """The latest counters of an interface, to be written to; of one too many they are forgotten."""
        found = self.interfaces.get(index)
        if found is None:
            if len(self.interfaces) >= MAX_INTERFACES or not self.room.take("interfaces"):
                return {}
            found = self.interfaces[index] = {}
        return found

    def came(self, ts: int) -> None:
        """A message came at this time."""
        self.messages += 1
        self.first = ts if self.first is None else min(self.first, ts)
        self.last = ts if self.last is None else max(self.last, ts)
