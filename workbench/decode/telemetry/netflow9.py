"""NetFlow 9 (RFC 3954): templates and data by source id; a message does not say how long it is."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from workbench.decode.telemetry.sets import NETFLOW9, Sets
from workbench.decode.telemetry.wire import Wire

if TYPE_CHECKING:
    from workbench.decode.telemetry.collector import Collector, Message

HEADER: Final = 20
_HEADER: Final = struct.Struct(">HHIIII")


def take(collector: Collector, buf: Wire, start: int, end: int, message: Message) -> int:
    """One message; returns where it ends, which is where its sets do."""
    _, _, uptime, seconds, sequence, source = _HEADER.unpack_from(buf, start)
    exporter = collector.exporter("netflow9", message)
    domain = None if exporter is None else exporter.domain(source, 0, "messages")
    if exporter is None or domain is None:
        if exporter is not None:
            exporter.tally.add("exporters_full", 1, message.number, "source ids of an exporter")
        return end
    sent = seconds * 1_000_000_000
    domain.clock[:] = (sent, sent - uptime * 1_000_000)
    tally, where = exporter.tally, f"source id {source}"
    domain.numbering.see(sequence, 1, sure=True, tally=tally, message=message.number, where=where)
    sets = Sets(collector, exporter, domain, NETFLOW9, message.number)
    return sets.read(buf, start + HEADER, end)
