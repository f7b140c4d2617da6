"""The condition behind `service.unexpected`: a flow whose protocol contradicts its port (decode.application.homes).

It runs over every flow that has a service, so that it is made of lookups: a port gives its class (nobody's, or one of about
a hundred and twenty that are somebody's home), class and protocol give a set of names as bits: those that would be unexpected
there. A flow's name is one bit. Flows that are where most flows are leave before that. 20 million flows that all have a
service cost 1.1 to 1.5 s of processor time, on two cores half of it; planning costs 25 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from workbench.decode.application.homes import SYSTEM_PORTS, TRANSPORTS, homes, stayers
from workbench.decode.application.registry import protocols

#: Where most flows are: name, IP protocol, port.
_MOST: Final = (("tls", 6, 443), ("dns", 17, 53), ("http", 6, 80), ("ssh", 6, 22), ("smb", 6, 445), ("ntp", 17, 123))
_FIRST: Final = "CASE WHEN contains(service, chr(44)) THEN split_part(service, chr(44), 1) ELSE service END"
_PROTOCOLS: Final = 4  # of (proto & 3), which tells TCP, UDP and SCTP apart


@cache
def unexpected_condition() -> str:
    """SQL over a row of `flows`: the flows of which `homes.unexpected` is not None. It holds no value of a person's."""
    stay = sorted(stayers())
    often = [name for name, _, _ in _MOST if name not in stay]
    known = stay + often + sorted({protocol.name for protocol in protocols()} - set(stay) - set(often))
    bit = {name: 1 << place for place, name in enumerate(known)}
    everybody = (1 << len(known)) - 1
    ports = {port: number for number, port in enumerate(sorted({port for _, port in homes()}), 1)}
    classes = len(ports) + 1
    strangers = {
        (proto & 3) * classes + ports[port]: everybody & ~sum(bit[name] for name in names)
        for (proto, port), names in homes().items()
    }
    class_of = _list(65536, 0, ports, "USMALLINT")

    def at(port: str, others: int) -> str:
        """Names that would be unexpected at a port, as bits; others: those at a port that is nobody's home."""
        sets = _list(_PROTOCOLS * classes, others, strangers, "HUGEINT")
        return f"list_extract({sets}, (proto & 3) * {classes} + list_extract({class_of}, {port}::INTEGER + 1) + 1)"

    answers = f"CASE WHEN dst_port < {SYSTEM_PORTS} THEN {everybody}::HUGEINT ELSE {at('src_port', everybody)} END"
    bits = ", ".join(f"{one}::HUGEINT" for one in bit.values())
    name = f"list_extract([{bits}], list_position([{_listed(map(_text, known))}], {_FIRST}))"
    return (
        f"(service IS NOT NULL AND proto IN ({_listed(TRANSPORTS.values())}) AND NOT {_home()}"
        f" AND coalesce({name} & {at('dst_port', sum(bit[one] for one in stay))} & {answers}, 0) <> 0)"
    )


def _home() -> str:
    """Flows that are where most are: of that name alone, or with others inside it."""
    for name, proto, port in _MOST:
        if name not in homes()[proto, port]:  # a change of the registry, which this must follow
            raise ValueError(f"{name} is not at home on {port}")
    said = "(service = {0} OR starts_with(service, {1}))"
    cases = " ".join(
        f"WHEN {port} THEN proto = {proto} AND {said.format(_text(name), _text(name + ','))}" for name, proto, port in _MOST
    )
    return f"CASE dst_port {cases} ELSE false END"


def _list(size: int, default: int, values: Mapping[int, int], kind: str) -> str:
    """SQL of a list of numbers, made once a query: `values` by place, `default` elsewhere."""
    rows = ", ".join(f"({place}, {value}::{kind})" for place, value in values.items())
    return (
        f"(SELECT list(coalesce(given, {default}::{kind}) ORDER BY place) FROM range({size}) places(place)"
        f" LEFT JOIN (VALUES {rows}) held(at_place, given) ON at_place = place)"
    )


def _text(name: str) -> str:
    return f"'{name}'"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
