"""What a collector knows of its exporters, in a form that another process can go on from.

Some exporters send templates every ten minutes: a decoder that takes another's place without them would be blind for as long. And
with the numbers that came last it can tell what was lost in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.decode.telemetry.exporters import Numbering
from workbench.decode.telemetry.templates import Field, compile_template

if TYPE_CHECKING:
    from workbench.decode.telemetry.collector import Collector

#: Domains and fields that are handed on at most: the rest has to be told again.
_DOMAINS: Final = 4096
_FIELDS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Known:
    """One domain. key: number and session; templates: number, fields (enterprise, number, length), scopes."""

    kind: str
    address: str
    key: tuple[int, int]
    unit: str
    last: int | None
    before: int | None
    boot: int
    sampling: int
    samplers: tuple[tuple[int, int], ...]
    active: int
    templates: tuple[tuple[int, tuple[tuple[int, int, int], ...], int | None], ...] | None


def remember(collector: Collector, *, templates: bool) -> tuple[Known, ...]:
    """Every domain; templates: those, too, which only change when `collector.learned` does."""
    out: list[Known] = []
    left = _FIELDS
    for exporter in collector.exporters:
        for key, domain in exporter.domains.items():
            if len(out) >= _DOMAINS:
                return tuple(out)
            plain = []
            for template in domain.templates.values() if templates else ():
                left -= len(template.fields)
                if left >= 0:
                    fields = tuple((f.enterprise, f.number, f.length) for f in template.fields)
                    plain.append((template.number, fields, template.scopes))
            n = domain.numbering
            found = Known(
                *(exporter.kind, exporter.address, key, n.unit, n.last, n.before, domain.boot, domain.sampling),
                *(tuple(domain.samplers.items()), exporter.active, tuple(plain) if templates else None),
            )
            out.append(found)
    return tuple(out)


def recall(collector: Collector, known: Iterable[Known]) -> None:
    """Give a new collector what another knew."""
    for one in known:
        exporter = collector.known(one.kind, one.address)
        exporter.active = max(exporter.active, one.active)
        domain = exporter.domain(*one.key, one.unit)
        if domain is None:
            continue
        domain.numbering = Numbering(one.unit, one.last, one.before)
        domain.boot, domain.sampling = one.boot, one.sampling
        domain.samplers = {sampler: rate for sampler, rate in one.samplers if exporter.room.take("samplers")}
        for number, fields, scopes in one.templates or ():
            template = compile_template(number, [Field(*f) for f in fields], scopes)
            if template is not None and exporter.room.take("fields", len(fields)):
                domain.templates[number] = template
