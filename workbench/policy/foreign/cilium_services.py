"""toPorts and icmps of Cilium's rules as sets of services."""

from __future__ import annotations

from typing import Final

from workbench.policy.foreign.objects import Field
from workbench.policy.foreign.ports import ALL, PORTED, Services, ports, whole
from workbench.policy.services import ICMP, ICMP6

#: As Cilium names types, for the families that it takes them in (RFC 792, RFC 4443, RFC 4861).
_TYPES: Final[dict[str, dict[str, int]]] = {
    "IPv4": {
        "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8, "RouterAdvertisement": 9,
        "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12, "Timestamp": 13, "TimestampReply": 14, "Photuris": 40,
        "ExtendedEchoRequest": 42, "ExtendedEchoReply": 43,
    },
    "IPv6": {
        "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4, "EchoRequest": 128,
        "EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131, "MulticastListenerDone": 132,
        "RouterSolicitation": 133, "RouterAdvertisement": 134, "NeighborSolicitation": 135, "NeighborAdvertisement": 136,
        "RedirectMessage": 137,
    },
}  # fmt: skip
_FAMILIES: Final = {"IPv4": ICMP, "IPv6": ICMP6}

Named = list[tuple[Field, tuple[str, ...]]]


def services(listed: Field | None, icmps: Field | None) -> tuple[Services, Named]:
    """What a rule is about: everything where it says neither. Names of ports with the protocols that they may be of."""
    if listed is not None and icmps is not None:
        raise icmps.wrong("stands beside toPorts: Cilium refuses that too")
    if icmps is not None:
        return _icmps(icmps), []
    if listed is None:
        return ALL, []
    out, named = Services(), []
    for one in _some(listed):
        one.refuse("our rules end at ports", "rules", "terminatingTLS", "originatingTLS", "serverNames", "listener")
        for port in _some(one.only("ports").need("ports")):
            said = port.only("port", "endPort", "protocol").get("protocol")
            word = said.word(*PORTED, "ANY") if said is not None else "ANY"
            protocols = tuple(PORTED) if word == "ANY" else (word,)
            number, end = port.need("port"), port.get("endPort")
            if not number.text().isdecimal():
                if end is not None:
                    raise end.wrong("needs a number in `port`")
                named.append((number, protocols))
                continue
            for protocol in protocols:
                out |= _numbered(PORTED[protocol], number, end, word)
    return out, named


def _some(listed: Field) -> list[Field]:
    """The parts of a list that has any: what an empty one means has changed between versions of Cilium."""
    found = listed.items()
    if not found:
        raise listed.wrong("is empty: leave the key out where everything is meant")
    return found


def _numbered(protocol: int, number: Field, end: Field | None, word: str) -> Services:
    first = int(number.text()) if len(number.text()) < 6 else 65536
    if first > 65535:
        raise number.wrong(f"{number.text()[:60]} is no port")
    if first == 0:
        if word == "ANY" or end is not None:
            raise number.wrong("port 0 means every port of one protocol: name the protocol, and no endPort")
        return whole(protocol)
    return ports(protocol, first, end.number(first, 65535) if end is not None else first)


def _icmps(listed: Field) -> Services:
    out = Services()
    for one in _some(listed):
        for part in _some(one.only("fields").need("fields")):
            part.only("family", "type")
            said = part.get("family")
            family = said.word(*_FAMILIES) if said is not None else "IPv4"
            kind = part.need("type")
            if isinstance(kind.value, str) and not kind.value.isdecimal():
                number = _TYPES[family][kind.word(*_TYPES[family])]
            elif isinstance(kind.value, str):
                number = int(kind.value) if len(kind.value) < 4 else 256
            else:
                number = kind.number(0, 255)
            if number > 255:
                raise kind.wrong("is no number from 0 to 255")
            out |= ports(_FAMILIES[family], number, number)
    return out
