"""LDAP over TCP (RFC 4511) and connectionless LDAP over UDP (MS-ADTS 6.3.3).

Filters and values are never kept, types of attributes are. The name of a bind is hashed; tokens of SASL binds are read for who
logs in.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from workbench.decode.application import ber
from workbench.decode.application.ldap_names import RESULTS, SCOPES
from workbench.decode.application.logins import Logins
from workbench.decode.application.ntlm import user_hash
from workbench.decode.application.protocol import (
    MOST_TEXT,
    MOST_WAITING,
    Context,
    Cut,
    Framing,
    Malformed,
    Message,
    Probe,
    Protocol,
    Row,
    Signature,
    text,
)

_BIND, _UNBIND, _SEARCH, _MODIFY, _ADD, _DELETE, _RENAME, _COMPARE = 0x60, 0x42, 0x63, 0x66, 0x68, 0x4A, 0x6C, 0x6E
_ABANDON, _EXTENDED = 0x50, 0x77
_REQUESTS: Final = {
    _BIND: "bind",
    _UNBIND: "unbind",
    _SEARCH: "search",
    _MODIFY: "modify",
    _ADD: "add",
    _DELETE: "delete",
    _RENAME: "modifyDN",
    _COMPARE: "compare",
    _ABANDON: "abandon",
    _EXTENDED: "extended",
}
_BOUND, _ENTRY, _REFERENCE, _MORE = 0x61, 0x64, 0x73, 0x79
_ANSWERS: Final = frozenset({_BOUND, 0x65, 0x67, 0x69, 0x6B, 0x6D, 0x6F, 0x78})
_SIMPLE, _SASL, _CREDENTIALS = 0x80, 0xA3, 0x87
_SICILY: Final = frozenset({0x89, 0x8A, 0x8B})  # how Windows binds with NTLM (MS-ADTS 5.1.1.1.3)
_IN_PROGRESS: Final = 14
_MOST_TYPES: Final = 64


@dataclass(slots=True)
class _Asked:
    ts: int
    row: dict[str, Any]
    entries: int | None = None


class LdapReader:
    """One connection, or the datagrams of one pair of ports."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._hashed = context.hashed
        self._waiting: dict[int, _Asked] = {}
        self._logins = Logins(context, "ldap")

    def message(self, message: Message) -> Iterable[Row]:
        """Rows of operations that this completes."""
        data, cut = message.data, message.cut
        whole = ber.item(data, 0, len(data), cut=cut)
        if whole.tag != ber.SEQUENCE:
            raise Malformed("LDAP: no message begins here")
        parts = ber.items(data, whole.start, whole.stop, cut=cut, most=2)
        number, said = next(parts, None), next(parts, None)
        if number is None or said is None or number.tag != ber.INTEGER:
            raise Malformed("LDAP: a message without its number or operation")
        identity = ber.number(data, number)
        if said.tag in _REQUESTS:
            self.services = ["ldap"]
            return self._ask(message.ts, identity, data, said, cut)
        if said.tag in _ANSWERS or said.tag in (_ENTRY, _REFERENCE, _MORE):
            self.services = ["ldap"]
            return self._answer(message.ts, identity, data, said, cut)
        raise Malformed("LDAP: an operation that does not exist")

    def end(self) -> Iterable[Row]:
        """Operations that were never answered."""
        rows = [self._row(asked) for asked in self._waiting.values()]
        self._waiting.clear()
        return rows + self._logins.end()

    def _row(self, asked: _Asked, result: str | None = None, until: int | None = None) -> Row:
        rtt = None if until is None else max(until - asked.ts, 0)
        return "ldap", {"ts": asked.ts, **asked.row, "result": result, "entries": asked.entries, "rtt_us": rtt}

    def _ask(self, ts: int, identity: int, data: bytes, said: ber.Item, cut: bool) -> list[Row]:
        asked = _Asked(ts, {"operation": _REQUESTS[said.tag]}, 0 if said.tag == _SEARCH else None)
        rows: list[Row] = []
        if said.tag == _BIND:
            rows = self._bind(ts, data, said, cut, asked.row)
        elif said.tag == _DELETE:
            asked.row["base"] = text(ber.value(data, said))
        elif said.tag not in (_UNBIND, _ABANDON):
            _described(data, said, cut, asked.row)
        if said.tag in (_UNBIND, _ABANDON):
            return [*rows, self._row(asked)]
        again = self._waiting.pop(identity, None)
        if again is None and len(self._waiting) >= MOST_WAITING:
            again = self._waiting.pop(next(iter(self._waiting)))
        self._waiting[identity] = asked
        return [*rows, self._row(again)] if again else rows

    def _bind(self, ts: int, data: bytes, said: ber.Item, cut: bool, row: dict[str, Any]) -> list[Row]:
        parts = list(ber.items(data, said.start, said.stop, cut=cut, most=3))
        if len(parts) < 2:
            raise Malformed("LDAP: a bind without a name")
        name = text(ber.value(data, parts[1]))
        row["user_hash"] = user_hash(self._hashed, _user(name))
        if len(parts) < 3:
            return []
        how = parts[2]
        if how.tag == _SIMPLE:
            row["mechanism"] = "simple" if how.after > how.start else "unauthenticated" if name else "anonymous"
        elif how.tag in _SICILY:
            row["mechanism"] = "sicily"
            return self._token(ts, ber.value(data, how))
        elif how.tag == _SASL:
            given = list(ber.items(data, how.start, how.stop, cut=cut, most=2))
            row["mechanism"] = text(ber.value(data, given[0]), 64) if given else None
            if len(given) > 1:
                return self._token(ts, ber.value(data, given[1]))
        return []

    def _token(self, ts: int, blob: bytes) -> list[Row]:
        """A token, if it is one: other mechanisms say other things."""
        with suppress(Malformed):
            return self._logins.token(ts, blob, cut=True)
        return []

    def _answer(self, ts: int, identity: int, data: bytes, said: ber.Item, cut: bool) -> list[Row]:
        asked = self._waiting.get(identity)
        if said.tag not in _ANSWERS:
            if said.tag == _ENTRY and asked is not None and asked.entries is not None:
                asked.entries += 1
            return []
        fields = list(ber.items(data, said.start, said.stop, cut=cut, most=8))
        if not fields or fields[0].tag != ber.ENUMERATED:
            raise Malformed("LDAP: an answer without a result")
        code = ber.number(data, fields[0])
        rows: list[Row] = []
        if said.tag == _BOUND:
            for field in fields[1:]:
                if field.tag == _CREDENTIALS:
                    rows += self._token(ts, ber.value(data, field))
            if code != _IN_PROGRESS:
                rows += self._logins.verdict(accepted=code == 0)
        if asked is None:
            return rows
        del self._waiting[identity]
        return [*rows, self._row(asked, RESULTS.get(code, f"result_{code}"), ts)]


def _user(name: str) -> str:
    """The user in a bind's name: DOMAIN\\user, user@domain, or the value of a DN's first part."""
    if "\\" in name and "=" not in name:
        return name.rpartition("\\")[2]
    if "=" in name:
        return name.partition("=")[2].partition(",")[0]
    return name.partition("@")[0]


def _described(data: bytes, said: ber.Item, cut: bool, row: dict[str, Any]) -> None:
    """What a search, change, comparison or extended request is about."""
    parts = list(ber.items(data, said.start, said.stop, cut=cut, most=8))
    if not parts:
        raise Malformed("LDAP: a request without its fields")
    if said.tag == _EXTENDED:
        row["extended"] = text(ber.value(data, parts[0]), 128) if parts[0].tag == _SIMPLE else None
        return
    row["base"] = text(ber.value(data, parts[0]))
    if said.tag == _SEARCH:
        if len(parts) > 1:
            scope = ber.number(data, parts[1])
            row["scope"] = SCOPES.get(scope, str(scope))
        if len(parts) > 7:
            row["attributes"] = _types(data, parts[7], cut, 0)
    elif said.tag in (_ADD, _MODIFY) and len(parts) > 1:
        row["attributes"] = _types(data, parts[1], cut, 1 if said.tag == _ADD else 2)


def _types(data: bytes, of: ber.Item, cut: bool, deep: int) -> str | None:
    """Types of attributes, comma separated; deep: in how many sequences each of them lies: 0 in a list of names itself."""
    found: list[str] = []
    for each in ber.items(data, of.start, of.stop, cut=cut, most=_MOST_TYPES):
        at = each
        for place in (1, 0)[2 - deep :]:  # a change: operation, attribute; an attribute: type, values
            inner = list(ber.items(data, at.start, at.stop, cut=cut, most=2))
            if len(inner) <= place:
                break
            at = inner[place]
        else:
            found.append(text(ber.value(data, at), 128))
    return ",".join(dict.fromkeys(found))[:MOST_TEXT] or None


def _known(transport: Any) -> tuple[Signature, ...]:
    """A sequence, a number, an application tag: with a short length, and with those of two and four bytes that servers write."""
    short = tuple(
        Signature(transport, b"\x30\0\x02" + bytes([width]) + b"\0" * width + b"\x40",
                  mask=b"\xff\x80\xff\xff" + b"\0" * width + b"\xc0", least=7, probe=Probe.BER)
        for width in (1, 2, 3, 4)
    )  # fmt: skip
    return (
        *short,
        Signature(transport, b"\x30\x81\0\x02\0", mask=b"\xff\xff\0\xff\xf8", least=7, probe=Probe.BER),
        Signature(transport, b"\x30\x82\0\0\x02\0", mask=b"\xff\xff\0\0\xff\xf8", least=8, probe=Probe.BER),
        Signature(transport, b"\x30\x84\0\0\0\0\x02\0", mask=b"\xff\xff\xff\0\0\0\xff\xf8", least=10, probe=Probe.BER),
    )


PROTOCOL: Final = Protocol(
    name="ldap",
    title="LDAP",
    framing={"tcp": Framing(Cut.BER), "udp": Framing(Cut.DATAGRAM)},
    signatures=(*_known("tcp"), *_known("udp")),
    tables=("ldap", "ntlm", "kerberos"),
    ports=(389, 3268, 636, 3269),
    guests=("tls",),
    stays=True,
    reader=LdapReader,
    reference="RFC 4511",
)
