"""Protocol, ports and ICMP of Calico's rules as sets of services."""

from __future__ import annotations

import re
from typing import Final

from workbench.policy.foreign.objects import Field
from workbench.policy.foreign.ports import ALL, Services, ports, whole
from workbench.policy.services import ICMP, ICMP6, SCTP, TCP, UDP

_PROTOCOLS: Final = {"TCP": TCP, "UDP": UDP, "ICMP": ICMP, "ICMPv6": ICMP6, "SCTP": SCTP, "UDPLite": 136}
_PORTED: Final = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}
_SPAN: Final = re.compile(r"(\d{1,5})(?::(\d{1,5}))?\Z", re.ASCII)

Named = list[tuple[Field, str]]


def services(rule: Field, destination: Field | None) -> tuple[Services, Named]:
    """What a rule is about, and names of ports with their protocol."""
    said, unsaid = rule.get("protocol"), rule.get("notProtocol")
    proto = _protocol(said) if said is not None else None
    out = whole(proto) if proto is not None else ALL
    if unsaid is not None:
        out -= whole(_protocol(unsaid))
    for key in ("icmp", "notICMP"):
        if (icmp := rule.get(key)) is not None:
            found = _types(icmp, proto)
            out = out & found if key == "icmp" else out - found
    named: Named = []
    listed = destination.listed("ports") if destination is not None else []
    if listed:
        spans, named = _ports(listed, proto)
        out &= spans
    if destination is not None and (without := destination.listed("notPorts")):
        spans, names = _ports(without, proto)
        if names:
            raise names[0][0].wrong("is the name of a port: what has no such port is not known")
        if named:
            raise without[0].wrong("beside names of ports")
        out -= spans
    return out, named


def _protocol(said: Field) -> int:
    if isinstance(said.value, str) and not said.value.isdecimal():
        return _PROTOCOLS[said.word(*_PROTOCOLS)]
    if isinstance(said.value, str):
        if len(said.value) > 3 or not 1 <= int(said.value) <= 255:
            raise said.wrong(f"{said.value[:20]} is no number from 1 to 255")
        return int(said.value)
    return said.number(1, 255)


def _types(icmp: Field, proto: int | None) -> Services:
    if proto not in (ICMP, ICMP6):
        raise icmp.wrong("needs protocol ICMP or ICMPv6")
    icmp.refuse("our rules end at types", "code")
    kind = icmp.only("type").get("type")
    if kind is None:
        raise icmp.missing("type")
    number = kind.number(0, 254)
    return ports(proto, number, number)


def _ports(listed: list[Field], proto: int | None) -> tuple[Services, Named]:
    if proto not in _PORTED:
        raise listed[0].wrong("needs protocol TCP, UDP or SCTP")
    out, named = Services(), []
    for one in listed:
        if isinstance(one.value, int) and not isinstance(one.value, bool):
            number = one.number(0, 65535)
            out |= ports(proto, number, number)
        elif (found := _SPAN.match(one.text())) is not None:
            first, last = int(found[1]), int(found[2] or found[1])
            if not first <= last <= 65535:
                raise one.wrong(f"`{one.text()[:20]}` is no range of ports")
            out |= ports(proto, first, last)
        else:
            named.append((one, _PORTED[proto]))
    return out, named
