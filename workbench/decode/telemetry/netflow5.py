"""NetFlow 5: a header of 24 bytes and up to 30 records of 48 bytes, always the same.

Cisco's "NetFlow Export Datagram Format". The layout is told as a template, and decoded as one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from workbench.decode.telemetry.templates import Field, Template, compile_template
from workbench.decode.telemetry.wire import Wire

if TYPE_CHECKING:
    from workbench.decode.telemetry.collector import Collector, Message

HEADER: Final = 24
RECORD: Final = 48
#: A datagram holds no more; a header that tells more is none.
MOST_RECORDS: Final = 30
_HEADER: Final = struct.Struct(">HHIIIIBBH")
#: Elements and lengths of a record, in order; 210 is padding.
_LAYOUT: Final = (
    *((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2)),
    *((210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2)),
)


def _template() -> Template:
    found = compile_template(0, [Field(0, number, length) for number, length in _LAYOUT])
    assert found is not None
    assert found.size == RECORD
    return found


TEMPLATE: Final = _template()


def length_of(buf: Wire, start: int, end: int) -> int:
    """Bytes of the message at `start` by its own header; 0 where there is none."""
    if end - start < HEADER:
        return 0
    version, count = struct.unpack_from(">HH", buf, start)
    return HEADER + RECORD * int(count) if version == 5 and count else 0


def take(collector: Collector, buf: Wire, start: int, end: int, message: Message) -> None:
    """One message."""
    _, count, uptime, seconds, nanos, sequence, kind, engine, sampling = _HEADER.unpack_from(buf, start)
    exporter = collector.exporter("netflow5", message)
    if exporter is None:
        return
    domain = exporter.domain(kind << 8 | engine, 0, "records")
    if domain is None:
        exporter.tally.add("exporters_full", 1, message.number, "engines of an exporter")
        return
    if count > MOST_RECORDS:
        exporter.tally.add("telemetry_malformed", 1, message.number, f"{count} records told, where {MOST_RECORDS} are the most")
        return
    there = min(count, (end - start - HEADER) // RECORD)
    if there < count:
        exporter.tally.add("telemetry_malformed", 1, message.number, f"{count} records told, {there} there")
    sent = seconds * 1_000_000_000 + min(nanos, 999_999_999)
    domain.sampling = sampling & 0x3FFF
    domain.clock[:] = (sent, sent - uptime * 1_000_000)
    domain.numbering.see(
        sequence, count, sure=True, tally=exporter.tally, message=message.number, where=f"engine {kind}/{engine}"
    )
    body = start + HEADER
    collector.decode(exporter, domain, TEMPLATE, buf, body, body + there * RECORD, message.number)
