"""IPFIX (RFC 7011): templates and data by observation domain and transport session."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from workbench.decode.telemetry.sets import IPFIX, Sets
from workbench.decode.telemetry.wire import Wire

if TYPE_CHECKING:
    from workbench.decode.telemetry.collector import Collector, Message

HEADER: Final = 16
_HEADER: Final = struct.Struct(">HHIII")


def length_of(buf: Wire, start: int, end: int) -> int:
    """Bytes of the message at `start` by its own header; 0 where there is none."""
    if end - start < HEADER:
        return 0
    version, length = struct.unpack_from(">HH", buf, start)
    return int(length) if version == 10 and length >= HEADER else 0


def take(collector: Collector, buf: Wire, start: int, end: int, message: Message) -> None:
    """One message of buf[start:end]; what its header says beyond that is not there, and counted as malformed."""
    _, length, seconds, sequence, number = _HEADER.unpack_from(buf, start)
    exporter = collector.exporter("ipfix", message)
    if exporter is None:
        return
    domain = exporter.domain(number, message.port, "records")
    if domain is None:
        exporter.tally.add("exporters_full", 1, message.number, "observation domains of an exporter")
        return
    domain.clock[:] = (seconds * 1_000_000_000, domain.boot)
    sets = Sets(collector, exporter, domain, IPFIX, message.number)
    if length > end - start:
        sets.malformed("a message shorter than it says")
    sets.read(buf, start + HEADER, min(end, start + length))
    domain.numbering.see(sequence, sets.records, sure=sets.sure, tally=exporter.tally, message=message.number, where=domain.name)
