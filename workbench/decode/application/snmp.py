"""SNMP, versions 1 (RFC 1157), 2c (RFC 1901, 3416) and 3 (RFC 3412, 3414, 3417).

A flow has one row per version, community or user, kind of message, level and engine. Communities are passwords: only their
hash is kept. Of what is asked for the first object is, of values nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from workbench.decode.application import ber
from workbench.decode.application.protocol import Context, Cut, Framing, Malformed, Message, Probe, Protocol, Row, Signature

_VERSIONS: Final = {0: "1", 1: "2c", 3: "3"}
_PDUS: Final = {
    0xA0: "get", 0xA1: "getnext", 0xA2: "response", 0xA3: "set", 0xA4: "trap", 0xA5: "getbulk", 0xA6: "inform", 0xA7: "trap",
    0xA8: "report",
}  # fmt: skip
_OLD_TRAP: Final = 0xA4
_RESPONSE: Final = 0xA2
_LEVELS: Final = ("noAuthNoPriv", "authNoPriv", "privNoAuth", "authPriv")
_ERRORS: Final = (
    "noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess", "wrongType", "wrongLength", "wrongEncoding",
    "wrongValue", "noCreation", "inconsistentValue", "resourceUnavailable", "commitFailed", "undoFailed", "authorizationError",
    "notWritable", "inconsistentName",
)  # fmt: skip
#: Rows that one flow can have at a time; above, all of them are given out and counted anew.
_MOST_ROWS: Final = 64
_MOST_ENGINE: Final = 32  # bytes of an engine id (RFC 3411)


class SnmpReader:
    """Counts the messages of a flow by kind. Holds at most _MOST_ROWS rows."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._hashed = context.hashed
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}

    def message(self, message: Message) -> Iterable[Row]:
        """Nothing while the flow lasts, but where it says more kinds of things than are held."""
        data, cut = message.data, message.cut
        whole = ber.item(data, 0, len(data), cut=cut)
        if whole.tag != ber.SEQUENCE:
            raise Malformed("SNMP: no sequence")
        first = ber.item(data, whole.start, whole.stop, cut=cut)
        version = _VERSIONS.get(ber.number(data, first)) if first.tag == ber.INTEGER else None
        if version is None:
            raise Malformed("SNMP: no version")
        second = ber.item(data, first.after, whole.stop, cut=cut)
        read = _version3 if version == "3" else _community
        said = read(data, second, whole.stop, cut)
        self.services = ["snmp"]
        return self._count(message.ts, version, said)

    def _count(self, ts: int, version: str, said: dict[str, Any]) -> Iterable[Row]:
        """Add a message to its row; every row where they are too many."""
        who = said.pop("who", None)
        key = (version, who, said.get("pdu"), said.get("level"), said.get("engine"))
        full = list(self.end()) if key not in self._rows and len(self._rows) >= _MOST_ROWS else []
        row = self._rows.get(key)
        if row is None:
            row = {"ts": ts, "version": version, "community_hash": self._hashed(who) if who else None, "count": 0}
            self._rows[key] = row
        row["count"] += 1
        for name, value in said.items():
            if row.get(name) is None:
                row[name] = value
        return full

    def end(self) -> Iterable[Row]:
        """The rows."""
        rows = [("snmp", row) for row in self._rows.values()]
        self._rows = {}
        return rows


def _community(data: bytes, community: ber.Item, stop: int, cut: bool) -> dict[str, Any]:
    """A message of versions 1 and 2c behind its version."""
    if community.tag != ber.OCTETS:
        raise Malformed("SNMP: no community")
    said: dict[str, Any] = {"who": ber.value(data, community)}
    if community.after < stop or not cut:
        _pdu(data, ber.item(data, community.after, stop, cut=cut), cut, said)
    return said


def _version3(data: bytes, header: ber.Item, stop: int, cut: bool) -> dict[str, Any]:
    """A message of version 3 behind its version: header, security parameters, what is in the clear of the rest."""
    if header.tag != ber.SEQUENCE:
        raise Malformed("SNMP: no header")
    parts = list(ber.items(data, header.start, header.stop, cut=cut, most=4))
    flags = ber.value(data, parts[2]) if len(parts) > 2 else b""
    said: dict[str, Any] = {"level": _LEVELS[flags[0] & 3] if flags else None}
    if header.after >= stop:
        return said
    security = ber.item(data, header.after, stop, cut=cut)
    if len(parts) > 3 and ber.number(data, parts[3]) == 3 and security.stop > security.start:  # the user-based model
        _user(data, security, cut, said)
    if security.after < stop and data[security.after] == ber.SEQUENCE:  # else encrypted
        scoped = ber.item(data, security.after, stop, cut=cut)
        inner = list(ber.items(data, scoped.start, scoped.stop, cut=cut, most=3))
        if len(inner) > 2:
            _pdu(data, inner[2], cut, said)
    return said


def _user(data: bytes, security: ber.Item, cut: bool, said: dict[str, Any]) -> None:
    """The user-based security model's parameters (RFC 3414, 2.4)."""
    inside = ber.inside(data, security, ber.SEQUENCE, cut=cut)
    parts = list(ber.items(data, inside.start, inside.stop, cut=cut, most=4))
    if parts:
        said["engine"] = ber.value(data, parts[0])[:_MOST_ENGINE].hex() or None
    if len(parts) > 3:
        said["who"] = ber.value(data, parts[3])


def _pdu(data: bytes, pdu: ber.Item, cut: bool, said: dict[str, Any]) -> None:
    """Kind, error and first object of a PDU."""
    said["pdu"] = _PDUS.get(pdu.tag)
    if said["pdu"] is None:
        raise Malformed("SNMP: no PDU")
    parts = list(ber.items(data, pdu.start, pdu.stop, cut=cut, most=6))
    if pdu.tag == _OLD_TRAP:  # enterprise first, no error
        if parts and parts[0].tag == ber.OBJECT:
            said["first_oid"] = ber.dotted(data, parts[0])
        return
    if len(parts) > 1 and pdu.tag == _RESPONSE:
        code = ber.number(data, parts[1])
        if code:
            said["error"] = _ERRORS[code] if 0 < code < len(_ERRORS) else f"error{code}"
    if len(parts) > 3 and parts[3].stop > parts[3].start:
        binding = ber.item(data, parts[3].start, parts[3].stop, cut=cut)
        if binding.stop > binding.start:
            name = ber.item(data, binding.start, binding.stop, cut=cut)
            if name.tag == ber.OBJECT and name.stop == name.after:
                said["first_oid"] = ber.dotted(data, name)


def _signatures() -> Iterable[Signature]:
    """A sequence, whose length has one to three bytes, then the version, and a community or a header."""
    for length, known in ((b"\0", b"\x80"), (b"\x81\0", b"\xff\0"), (b"\x82\0\0", b"\xff\0\0")):
        for version, mask, then in ((0, 0xFE, ber.OCTETS), (3, 0xFF, ber.SEQUENCE)):
            value = b"\x30" + length + bytes([2, 1, version, then])
            for transport in ("udp", "tcp"):
                yield Signature(transport, value, mask=b"\xff" + known + bytes([0xFF, 0xFF, mask, 0xFF]), probe=Probe.BER)


PROTOCOL: Final = Protocol(
    name="snmp",
    title="Simple Network Management Protocol",
    framing={"udp": Framing(Cut.DATAGRAM), "tcp": Framing(Cut.BER)},
    signatures=tuple(_signatures()),
    tables=("snmp",),
    ports=(161, 162),
    reader=SnmpReader,
    reference="RFC 1157, RFC 3416, RFC 3412, RFC 3414, RFC 3430",
)
