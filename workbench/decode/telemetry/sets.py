"""What NetFlow 9 and IPFIX share: sets of templates, of options templates and of data, one behind the other in a message."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from workbench.decode.telemetry import options
from workbench.decode.telemetry.exporters import HOLD, MAX_HELD, MAX_TEMPLATES, Domain, Exporter, Held
from workbench.decode.telemetry.templates import VARIABLE, Field, Template, compile_template
from workbench.decode.telemetry.wire import Wire

if TYPE_CHECKING:
    from workbench.decode.telemetry.collector import Collector

_PAIR: Final = struct.Struct(">HH")
_TRIPLE: Final = struct.Struct(">HHH")
_FIRST_DATA: Final = 256
_MOST_FIELDS: Final = 1024
#: Enterprise under which the scopes of NetFlow 9's options stand: they are numbered apart from elements.
SCOPE: Final = -1


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a format writes sets. templates, options: numbers of those sets; ipfix: whether RFC 7011's rules hold."""

    templates: int
    options: int
    ipfix: bool


IPFIX: Final = Dialect(2, 3, True)
NETFLOW9: Final = Dialect(0, 1, False)


class Sets:
    """The sets of one message, as they are read. records: data records seen; sure: whether those are all there were."""

    def __init__(self, collector: Collector, exporter: Exporter, domain: Domain, dialect: Dialect, message: int) -> None:
        self.collector = collector
        self.exporter = exporter
        self.domain = domain
        self.dialect = dialect
        self.message = message
        self.records = 0
        self.sure = True

    def malformed(self, why: str) -> None:
        """Count it; what stood before is kept."""
        self.sure = False
        self.exporter.tally.add("telemetry_malformed", 1, self.message, why)

    def read(self, buf: Wire, at: int, end: int) -> int:
        """Every set of buf[at:end]; where it stopped: at the end, or (NetFlow 9) where another message begins."""
        while end - at >= 4:
            number, length = _PAIR.unpack_from(buf, at)
            if not self.dialect.ipfix and number == 9:
                return at
            if length < 4 or length > end - at:
                if any(buf[at:end]):  # zeros are padding that some exporters add
                    self.malformed("a set longer than its message" if length >= 4 else "a set shorter than its header")
                return end
            self._set(buf, number, at + 4, at + length)
            at += length
        return end

    def _set(self, buf: Wire, number: int, at: int, end: int) -> None:
        if number == self.dialect.templates:
            self._templates(buf, at, end)
        elif number == self.dialect.options:
            self._options_templates(buf, at, end)
        elif number >= _FIRST_DATA:
            self._data(buf, number, at, end)
        else:
            self.malformed(f"set {number}")

    # -- templates --------------------------------------------------------------------------------

    def _templates(self, buf: Wire, at: int, end: int) -> None:
        while end - at >= 4:
            number, count = _PAIR.unpack_from(buf, at)
            if number < _FIRST_DATA:
                if number or count:
                    if self.dialect.ipfix and number == self.dialect.templates and count == 0:
                        self._withdraw(number)
                    else:
                        self.malformed(f"template {number}")
                return
            at += 4
            if count == 0:
                self._withdraw(number)
                continue
            fields, at = self._fields(buf, at, end, count)
            if fields is None:
                return
            self._learn(number, compile_template(number, fields))

    def _options_templates(self, buf: Wire, at: int, end: int) -> None:
        while end - at >= 6:
            number, first, second = _TRIPLE.unpack_from(buf, at)
            if number < _FIRST_DATA:
                if number or first:
                    if self.dialect.ipfix and number == self.dialect.options and first == 0:
                        self._withdraw(number)
                    else:
                        self.malformed(f"options template {number}")
                return
            if self.dialect.ipfix and first == 0:
                self._withdraw(number)
                at += 4
                continue
            at += 6
            scopes, count = (second, first) if self.dialect.ipfix else (first // 4, (first + second) // 4)
            fields, at = self._fields(buf, at, end, count, scopes)
            if fields is None:
                return
            self._learn(number, compile_template(number, fields, min(scopes, count)))

    def _fields(self, buf: Wire, at: int, end: int, count: int, scopes: int = 0) -> tuple[list[Field] | None, int]:
        fields: list[Field] = []
        for n in range(count):
            if end - at < 4 or n >= _MOST_FIELDS:
                self.malformed("a template longer than its set")
                return None, end
            number, length = _PAIR.unpack_from(buf, at)
            at += 4
            enterprise = 0 if self.dialect.ipfix or n >= scopes else SCOPE
            if self.dialect.ipfix and number & 0x8000:
                if end - at < 4:
                    self.malformed("a template longer than its set")
                    return None, end
                number &= 0x7FFF
                (enterprise,) = struct.unpack_from(">I", buf, at)
                at += 4
            if length == VARIABLE and not self.dialect.ipfix:
                self.malformed("a field of 65535 bytes")
                return None, end
            fields.append(Field(enterprise, number, length))
        return fields, at

    def _learn(self, number: int, template: Template | None) -> None:
        tally, templates = self.exporter.tally, self.domain.templates
        self.exporter.templates += 1
        if template is None:
            self._forget(number)
            tally.add("template_refused", 1, self.message, f"template {number}: records without bytes")
            return
        old = templates.get(number)
        if old is not None and old.fields == template.fields and old.scopes == template.scopes:
            return
        if old is None and len(templates) >= MAX_TEMPLATES:
            tally.add("template_refused", 1, self.message, f"more than {MAX_TEMPLATES} templates of {self.domain.name}")
            return
        if old is not None:
            self.exporter.room.give("fields", len(old.fields))
        if not self.exporter.room.take("fields", len(template.fields)):
            templates.pop(number, None)
            tally.add("template_refused", 1, self.message, "more fields than are kept of all exporters together")
            return
        self.collector.learned += 1
        if old is not None:
            tally.add("template_changed", 1, self.message, f"template {number}")
        for field in template.unknown:
            tally.add("fields_unknown", 1, 0, field)
        templates[number] = template
        self._release(number, template)

    def _withdraw(self, number: int) -> None:
        """RFC 7011, 8.1: a template that is no longer used; numbers 2 and 3 stand for all of a kind."""
        if number >= _FIRST_DATA:
            self._forget(number)
            return
        of_options = number == self.dialect.options
        for n in [n for n, t in self.domain.templates.items() if (t.scopes is not None) == of_options]:
            self._forget(n)

    def _forget(self, number: int) -> None:
        old = self.domain.templates.pop(number, None)
        if old is not None:
            self.exporter.room.give("fields", len(old.fields))
            self.collector.learned += 1

    # -- data -------------------------------------------------------------------------------------

    def _data(self, buf: Wire, number: int, at: int, end: int) -> None:
        template = self.domain.templates.get(number)
        if template is None:
            self._hold(number, buf[at:end].tobytes())
            self.sure = False
            return
        self._read_data(template, buf, at, end, self.message)

    def _read_data(self, template: Template, buf: Wire, at: int, end: int, message: int) -> None:
        if template.scopes is None:
            count, broken = self.collector.decode(self.exporter, self.domain, template, buf, at, end, message)
        else:
            count, broken = self.collector.count(template, buf, at, end)
            self.exporter.options += count
            if not template.variable:
                options.learn(self.exporter, self.domain, template, buf[at : at + count * template.size], message)
        self.records += count
        if broken:
            self.malformed(f"a record of template {template.number} longer than its set")

    def _hold(self, number: int, data: bytes) -> None:
        """Keep a data set until its template comes, within bounds; the oldest give way, and are counted."""
        domain = self.domain
        sent = int(domain.clock[0])
        held = Held(number, data, sent, int(domain.clock[1]), self.message)
        if not self.exporter.room.take("held", held.cost):
            self.exporter.tally.add("template_missing", 1, self.message, f"template {number} of {domain.name}")
            return
        domain.held.append(held)
        domain.held_bytes += held.cost
        while domain.held and (domain.held_bytes > MAX_HELD or domain.held[0].sent < sent - HOLD):
            give_up(self.exporter, domain, domain.held.pop(0))

    def _release(self, number: int, template: Template) -> None:
        """Read what waited for this template, by the clock of its own message."""
        domain = self.domain
        ready = [h for h in domain.held if h.template == number]
        if not ready:
            return
        domain.held = [h for h in domain.held if h.template != number]
        clock, records, sure = domain.clock.copy(), self.records, self.sure
        for held in ready:
            domain.held_bytes -= held.cost
            self.exporter.room.give("held", held.cost)
            domain.clock[:] = (held.sent, held.boot or domain.clock[1])
            self._read_data(template, np.frombuffer(held.data, np.uint8), 0, len(held.data), held.message)
        domain.clock[:] = clock
        self.records, self.sure = records, sure  # not of this message


def give_up(exporter: Exporter, domain: Domain, held: Held) -> None:
    """A data set whose template did not come."""
    domain.held_bytes -= held.cost
    exporter.room.give("held", held.cost)
    exporter.tally.add("template_missing", 1, held.message, f"template {held.template} of {domain.name}")
