"""DHCP: version 4 (RFC 2131, 2132, BOOTP of RFC 951) and version 6 (RFC 8415). One row per message.

A relayed message of version 6 is the one inside, with the relay's link address. Of a client's full name the first label is
kept, as its host name. What the client asks for (`parameters`), in its order, tells operating systems apart. Options after
one that is cut off are not read; the row has what stood before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from workbench.decode.application.dhcp_names import V4_MESSAGES, V6_MESSAGES
from workbench.decode.application.protocol import Context, Cut, Framing, Malformed, Message, Protocol, Row, Signature, text

_COOKIE: Final = b"\x63\x82\x53\x63"
_HEAD: Final = 236  # of a BOOTP message, up to the magic cookie
_RELAYS: Final = 8  # relays one behind another that are followed (RFC 8415 allows eight hops)
_MOST_OPTIONS: Final = 1024
_MOST_ID: Final = 64  # bytes of a client identifier
_ETHERNET: Final = 1
#: Options of version 6 that hold what they are about behind a head of so many bytes: IA_NA, IA_TA, IA_PD.
_ASSOCIATIONS: Final = {3: 12, 4: 4, 25: 12}

Values = dict[str, Any]
Take = Callable[[Values, bytes], None]


def _v4_address(data: bytes) -> str | None:
    return str(ipaddress.IPv4Address(data[:4])) if len(data) >= 4 and any(data[:4]) else None


def _addresses(data: bytes, size: int) -> str | None:
    """Addresses one behind another, comma separated."""
    kind = ipaddress.IPv4Address if size == 4 else ipaddress.IPv6Address
    found = [str(kind(data[at : at + size])) for at in range(0, len(data) - size + 1, size)]
    return ",".join(found[:16]) or None


def _mac(data: bytes) -> str | None:
    return data.hex(":") if len(data) == 6 and any(data) else None


def _name(data: bytes) -> str | None:
    return text(data.rstrip(b"\0"), 255) or None


def _labels(data: bytes) -> list[str]:
    """Labels of a name in DNS's wire format, without pointers, which DHCP does not use; as far as they go."""
    found: list[str] = []
    at = 0
    while at < len(data) and 0 < data[at] < 64 and len(found) < 128:
        found.append(text(data[at + 1 : at + 1 + data[at]], 63))
        at += 1 + data[at]
    return found


def _fqdn(data: bytes, head: int, wire: bool) -> str | None:
    """The first label of a client's full name; wire: as DNS writes it, else with dots."""
    if wire:
        return (_labels(data[head:]) or [""])[0] or None
    return (_name(data[head:]) or "").split(".")[0] or None


def _keep(name: str, of: Callable[[bytes], Any]) -> Take:
    """Takes an option into a column, unless one before said it."""

    def take(values: Values, data: bytes) -> None:
        if values.get(name) is None:
            values[name] = of(data)

    return take


def _number(data: bytes) -> int | None:
    return int.from_bytes(data[:4], "big") if len(data) >= 4 else None


def _vendor6(data: bytes) -> str | None:
    return _name(data[6 : 6 + int.from_bytes(data[4:6], "big")])


def _numbers16(data: bytes) -> str | None:
    return ",".join(str(int.from_bytes(data[at : at + 2], "big")) for at in range(0, len(data) - 1, 2)) or None


def _duid(values: Values, data: bytes) -> None:
    values["client_id"] = data[:_MOST_ID].hex() or None
    kind, hardware = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    if hardware == _ETHERNET and kind in (1, 3):  # link-layer address, with or without a time ahead
        values["client_mac"] = _mac(data[8:14] if kind == 1 else data[4:10])


_V4: Final[dict[int, Take]] = {
    3: _keep("routers", lambda data: _addresses(data, 4)),
    6: _keep("dns_servers", lambda data: _addresses(data, 4)),
    12: _keep("host_name", _name),
    15: _keep("domain", _name),
    50: _keep("client_ip", _v4_address),
    51: _keep("lease", _number),
    53: _keep("message", lambda data: V4_MESSAGES.get(data[0], f"TYPE{data[0]}") if data else None),
    54: _keep("server_ip", _v4_address),
    55: _keep("parameters", lambda data: ",".join(map(str, data)) or None),
    60: _keep("vendor", _name),
    61: _keep("client_id", lambda data: data[:_MOST_ID].hex() or None),
    81: _keep("host_name", lambda data: _fqdn(data, 3, wire=bool(data and data[0] & 4))),
}
_V6: Final[dict[int, Take]] = {
    1: _duid,
    6: _keep("parameters", _numbers16),
    12: _keep("server_ip", lambda data: _addresses(data[:16], 16)),
    16: _keep("vendor", _vendor6),
    23: _keep("dns_servers", lambda data: _addresses(data, 16)),
    24: _keep("domain", lambda data: ".".join(_labels(data)) or None),
    39: _keep("host_name", lambda data: _fqdn(data, 1, wire=True)),
}


def _options4(data: bytes) -> tuple[dict[int, bytes], bool]:
    """Options by code, those that come again joined (RFC 3396), in order of their first; and whether they could all be read."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        stop = at + 2 + data[at + 1] if at + 1 < len(data) else len(data) + 1
        if stop > len(data):
            return found, False
        found[data[at]] = found.get(data[at], b"") + data[at + 2 : stop]
        at = stop
    return found, True


def _options6(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Options in order; raises Malformed at one that is cut off."""
    for _ in range(_MOST_OPTIONS):
        if at >= len(data):
            return
        stop = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 > len(data) or stop > len(data):
            raise Malformed("DHCPv6: an option is longer than the message")
        yield int.from_bytes(data[at : at + 2], "big"), data[at + 4 : stop]
        at = stop


class DhcpReader:
    """Reads the messages of a flow, each by itself; holds nothing."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._six = {context.src_port, context.dst_port} & {546, 547}

    def message(self, message: Message) -> Iterable[Row]:
        """A row for the message."""
        return self._version6(message) if self._six else self._version4(message)

    def end(self) -> Iterable[Row]:
        """Nothing waits for an answer."""
        return ()

    def _version4(self, message: Message) -> Iterator[Row]:
        data = message.data
        if len(data) < 44 or data[0] not in (1, 2) or data[2] > 16:
            raise Malformed("DHCP: no header")
        self.services = ["dhcp"]
        values: Values = {"ts": message.ts, "version": "4", "xid": int.from_bytes(data[4:8], "big")}
        if data[1] == _ETHERNET and data[2] == 6:
            values["client_mac"] = _mac(data[28:34])
        values["client_ip"] = _v4_address(data[12:16])
        values["assigned_ip"] = _v4_address(data[16:20])
        values["relay_ip"] = _v4_address(data[24:28])
        whole = True
        if data[_HEAD : _HEAD + 4] == _COOKIE:
            options, whole = _options4(data[_HEAD + 4 :])
            for area, bit in ((data[108:_HEAD], 1), (data[44:108], 2)):  # file and sname hold options too (RFC 2132, 9.3)
                if options.get(52, b"\0")[:1] and options.get(52, b"\0")[0] & bit:
                    for code, more in _options4(area)[0].items():
                        options[code] = options.get(code, b"") + more
            for code, option in options.items():
                if take := _V4.get(code):
                    take(values, option)
        if values.get("message") is None:
            values["message"] = "BOOTREQUEST" if data[0] == 1 else "BOOTREPLY"
        yield "dhcp", values
        if not whole and not message.cut:
            raise Malformed("DHCP: an option is longer than the message")

    def _version6(self, message: Message) -> Iterator[Row]:
        data = message.data
        if len(data) < 4 or data[0] not in V6_MESSAGES:
            raise Malformed("DHCPv6: no message of a known type")
        self.services = ["dhcp"]
        values: Values = {"ts": message.ts, "version": "6"}
        wrong: Malformed | None = None
        try:
            data = _unrelayed(data, values)
            _inside6(data, values)
        except Malformed as malformed:
            wrong = malformed
        yield "dhcp", values
        if wrong and not message.cut:
            raise wrong


def _unrelayed(data: bytes, values: Values) -> bytes:
    """The client's or server's message inside what relays wrapped around it; the innermost relay's link address is noted."""
    for _ in range(_RELAYS):
        values["message"] = V6_MESSAGES.get(data[0], f"TYPE{data[0]}")
        if data[0] not in (12, 13):
            break
        if len(data) < 34:
            raise Malformed("DHCPv6: a relay's header is cut off")
        values["relay_ip"] = _addresses(data[2:18], 16) if any(data[2:18]) else None
        inner = b""
        for code, option in _options6(data, 34):
            if code == 9 and option:
                inner = option
        if not inner:
            break
        data = inner
    return data


def _inside6(data: bytes, values: Values) -> None:
    """What a message that is not a relay's says."""
    if data[0] in (12, 13):
        return
    if len(data) < 4:
        raise Malformed("DHCPv6: a header is cut off")
    values["xid"] = int.from_bytes(data[1:4], "big")
    given = "assigned_ip" if data[0] in (2, 7) else "client_ip"  # ADVERTISE and REPLY give, others have or ask
    for code, option in _options6(data, 4):
        if take := _V6.get(code):
            take(values, option)
        elif code in _ASSOCIATIONS:
            for kind, inner in _options6(option, _ASSOCIATIONS[code]):
                _lease6(kind, inner, given, values)


def _lease6(kind: int, data: bytes, given: str, values: Values) -> None:
    """An address (5) or prefix (26) of an association; the first of a message is kept."""
    if values.get(given) is not None:
        return
    if kind == 5 and len(data) >= 24:
        values[given] = _addresses(data[:16], 16)
        values["lease"] = _number(data[20:24])
    elif kind == 26 and len(data) >= 25:
        values[given] = f"{_addresses(data[9:25], 16)}/{data[8]}"
        values["lease"] = _number(data[4:8])


_PORTS4: Final = (67, 68, 4011)
_PORTS6: Final = (546, 547)

PROTOCOL: Final = Protocol(
    name="dhcp",
    title="Dynamic Host Configuration Protocol",
    framing=Framing(Cut.DATAGRAM, keep=8192),
    signatures=(
        Signature("udp", _COOKIE, at=_HEAD, least=240, strong=True),
        *(Signature("udp", bytes([op, 1, 6]), least=236, ports=_PORTS4) for op in (1, 2)),  # BOOTP
        Signature("udp", b"\0", mask=b"\xc0", least=4, ports=_PORTS6),
    ),
    tables=("dhcp",),
    ports=(*_PORTS4, *_PORTS6),
    reader=DhcpReader,
    reference="RFC 2131, RFC 2132, RFC 8415",
)
