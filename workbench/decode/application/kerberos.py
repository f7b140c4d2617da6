"""Kerberos (RFC 4120) over UDP and TCP; and the messages of it that other protocols carry (`logins` reads those).

Nothing that is encrypted is looked at; of padata only the types. Client names are hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from workbench.decode.application import ber
from workbench.decode.application.kerberos_names import ERRORS, ETYPES, OPTIONS, PREAUTH
from workbench.decode.application.ntlm import user_hash
from workbench.decode.application.protocol import (
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

#: Application tags, which are the message types too.
AS_REQ: Final = 10
AS_REP: Final = 11
TGS_REQ: Final = 12
TGS_REP: Final = 13
AP_REQ: Final = 14
AP_REP: Final = 15
ERROR: Final = 30

_KINDS: Final = {AS_REQ: "AS", AS_REP: "AS", TGS_REQ: "TGS", TGS_REP: "TGS", AP_REQ: "AP", AP_REP: "AP", ERROR: "ERROR"}
_APPLICATION: Final = 0x60
_TICKET: Final = 0x61
_GENERAL: Final = 0x1B
_MOST_NAMES: Final = 32  # encryption types, pre-authentication types, parts of a name


@dataclass(slots=True)
class Said:
    """What one message says; None or empty where it does not."""

    kind: int
    service: str | None = None
    realm: str | None = None
    client: str | None = None  # as it was said; hash it before it goes anywhere
    etypes: tuple[str, ...] = ()
    preauth: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    ticket_etype: str | None = None
    reply_etype: str | None = None
    error: str | None = None


def read(data: bytes, *, cut: bool = False) -> Said:
    """Reads one message. cut: its end is missing, so that later fields may be. Raises Malformed."""
    top = ber.item(data, 0, len(data), cut=cut)
    said = Said(top.number)
    if top.tag & 0xE0 != _APPLICATION or said.kind not in _KINDS:
        raise Malformed("Kerberos: a message type that does not exist")
    fields = ber.fields(data, ber.inside(data, top, ber.SEQUENCE, cut=cut), cut=cut)
    first = 0xA1 if said.kind in (AS_REQ, TGS_REQ) else 0xA0
    if _number(data, fields, first) != 5 or _number(data, fields, first + 1) != said.kind:
        raise Malformed("Kerberos: neither version 5 nor the message type that its tag says")
    _READ[said.kind](data, fields, said, cut)
    return said


def row(ts: int, asked: Said | None, answer: Said | None, hashed: Callable[[str | bytes], str], rtt: int | None = None) -> Row:
    """The row of an exchange that began at `ts`; either side may not have been seen."""
    ask = asked or Said(answer.kind if answer else ERROR)
    reply = answer or Said(ask.kind)
    found: dict[str, Any] = {
        "ts": ts,
        "type": _KINDS[ask.kind],
        "etypes": ",".join(ask.etypes) or None,
        "error": reply.error,
        "service": ask.service or reply.service,
        "realm": ask.realm or reply.realm,
        "client_hash": user_hash(hashed, ask.client or reply.client),
        "ticket_etype": reply.ticket_etype or ask.ticket_etype,
        "reply_etype": reply.reply_etype,
        "preauth": ",".join(ask.preauth) or None,
        "options": ",".join(ask.options) or None,
        "answered": answer is not None,
        "rtt_us": rtt,
    }
    return "kerberos", found


class KerberosReader:
    """Joins requests with their answers: UDP answers may come in any order, so each takes the oldest request of its kind."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._stream = context.transport == "tcp"
        self._hashed = context.hashed
        self._waiting: list[tuple[int, Said]] = []

    def message(self, message: Message) -> Iterable[Row]:
        """Rows of requests that this answers."""
        data = message.data[4:] if self._stream else message.data
        said = read(data, cut=message.cut)
        self.services = ["kerberos"]
        if said.kind in (AS_REQ, TGS_REQ, AP_REQ):
            self._waiting.append((message.ts, said))
            if len(self._waiting) > MOST_WAITING:
                ts, oldest = self._waiting.pop(0)
                return [row(ts, oldest, None, self._hashed)]
            return []
        for place, (ts, asked) in enumerate(self._waiting):
            if said.kind in (asked.kind + 1, ERROR):
                del self._waiting[place]
                return [row(ts, asked, said, self._hashed, max(message.ts - ts, 0))]
        return [row(message.ts, None, said, self._hashed)]

    def end(self) -> Iterable[Row]:
        """Requests without an answer."""
        rows = [row(ts, asked, None, self._hashed) for ts, asked in self._waiting]
        self._waiting.clear()
        return rows


def etype(number: int) -> str:
    """An encryption type by name."""
    return ETYPES.get(number, f"etype_{number}")


def _number(data: bytes, fields: dict[int, ber.Item], tag: int) -> int | None:
    """The INTEGER in an explicit tag; None where the field is not there, or cut off."""
    of = fields.get(tag)
    return None if of is None or of.stop != of.after else ber.number(data, ber.inside(data, of, ber.INTEGER))


def _string(data: bytes, fields: dict[int, ber.Item], tag: int) -> str | None:
    """The KerberosString in an explicit tag."""
    of = fields.get(tag)
    return None if of is None else text(ber.value(data, ber.inside(data, of, _GENERAL, cut=True))) or None


def _name(data: bytes, fields: dict[int, ber.Item], tag: int, cut: bool) -> str | None:
    """The PrincipalName in an explicit tag, its parts joined by slashes."""
    of = fields.get(tag)
    if of is None:
        return None
    parts = ber.fields(data, ber.inside(data, of, ber.SEQUENCE, cut=cut), cut=cut).get(0xA1)
    if parts is None:
        return None
    names = ber.inside(data, parts, ber.SEQUENCE, cut=cut)
    said = [ber.value(data, each) for each in ber.items(data, names.start, names.stop, cut=cut, most=_MOST_NAMES)]
    return text(b"/".join(said)) or None


def _encrypted(data: bytes, fields: dict[int, ber.Item], tag: int, cut: bool) -> str | None:
    """The encryption type of the EncryptedData in an explicit tag."""
    of = fields.get(tag)
    if of is None:
        return None
    number = _number(data, ber.fields(data, ber.inside(data, of, ber.SEQUENCE, cut=cut), cut=cut), 0xA0)
    return None if number is None else etype(number)


def _request(data: bytes, fields: dict[int, ber.Item], said: Said, cut: bool) -> None:
    if 0xA3 in fields:
        said.preauth = tuple(_preauth(data, ber.inside(data, fields[0xA3], ber.SEQUENCE, cut=cut), cut))
    if 0xA4 not in fields:
        return
    body = ber.fields(data, ber.inside(data, fields[0xA4], ber.SEQUENCE, cut=cut), cut=cut)
    if 0xA0 in body:
        bits = ber.value(data, ber.inside(data, body[0xA0], ber.BITS, cut=cut))[1:5]
        flags = int.from_bytes(bits.ljust(4, b"\0"), "big")
        said.options = tuple(name for bit, name in OPTIONS.items() if flags >> 31 - bit & 1)
    said.client = _name(data, body, 0xA1, cut)
    said.realm = _string(data, body, 0xA2)
    said.service = _name(data, body, 0xA3, cut)
    if 0xA8 in body:
        listed = ber.inside(data, body[0xA8], ber.SEQUENCE, cut=cut)
        numbers = ber.items(data, listed.start, listed.stop, cut=cut, most=_MOST_NAMES)
        said.etypes = tuple(etype(ber.number(data, each)) for each in numbers if each.stop == each.after)


def _preauth(data: bytes, of: ber.Item, cut: bool) -> Iterable[str]:
    for each in ber.items(data, of.start, of.stop, cut=cut, most=_MOST_NAMES):
        number = _number(data, ber.fields(data, each, cut=cut), 0xA1)
        if number is not None:
            yield PREAUTH.get(number, f"pa_{number}")


def _ticket(data: bytes, fields: dict[int, ber.Item], tag: int, said: Said, cut: bool) -> None:
    if tag not in fields:
        return
    ticket = ber.inside(data, fields[tag], _TICKET, cut=cut)
    shown = ber.fields(data, ber.inside(data, ticket, ber.SEQUENCE, cut=cut), cut=cut)
    said.realm = _string(data, shown, 0xA1)
    said.service = _name(data, shown, 0xA2, cut)
    said.ticket_etype = _encrypted(data, shown, 0xA3, cut)


def _reply(data: bytes, fields: dict[int, ber.Item], said: Said, cut: bool) -> None:
    said.client = _name(data, fields, 0xA4, cut)
    _ticket(data, fields, 0xA5, said, cut)
    said.reply_etype = _encrypted(data, fields, 0xA6, cut)


def _shown(data: bytes, fields: dict[int, ber.Item], said: Said, cut: bool) -> None:
    _ticket(data, fields, 0xA3, said, cut)


def _accepted(data: bytes, fields: dict[int, ber.Item], said: Said, cut: bool) -> None:
    said.reply_etype = _encrypted(data, fields, 0xA2, cut)


def _error(data: bytes, fields: dict[int, ber.Item], said: Said, cut: bool) -> None:
    number = _number(data, fields, 0xA6)
    said.error = None if number is None else ERRORS.get(number, f"error_{number}")
    said.client = _name(data, fields, 0xA8, cut)
    said.realm = _string(data, fields, 0xA9)
    said.service = _name(data, fields, 0xAA, cut)


_READ: Final[dict[int, Callable[[bytes, dict[int, ber.Item], Said, bool], None]]] = {
    AS_REQ: _request,
    TGS_REQ: _request,
    AS_REP: _reply,
    TGS_REP: _reply,
    AP_REQ: _shown,
    AP_REP: _accepted,
    ERROR: _error,
}

#: First bytes of tags: AS-REQ to AP-REP (10 to 15), and KRB-ERROR (30), as application tags (RFC 4120, 5.10).
_TAGS: Final = ((0x68, 0xF8), (0x7E, 0xFF))
#: Forms of a BER length with the SEQUENCE behind it: bytes, mask.
_LENGTHS: Final = ((b"\0\x30", b"\x80\xff"), (b"\x81\0\x30", b"\xff\0\xff"), (b"\x82\0\0\x30", b"\xff\0\0\xff"))


def _signatures() -> Iterable[Signature]:
    """A tag alone would fit one in eight random datagrams: length and the SEQUENCE inside are asked, too."""
    for tag, mask in _TAGS:
        for length, known in _LENGTHS:
            value, bits = bytes([tag]) + length, bytes([mask]) + known
            yield Signature("udp", value, mask=bits, least=10, probe=Probe.BER)
            yield Signature("tcp", b"\0\0\0\0" + value, mask=b"\xff\xff\0\0" + bits, least=10, probe=Probe.RECORD)


PROTOCOL: Final = Protocol(
    name="kerberos",
    title="Kerberos",
    framing={
        "udp": Framing(Cut.DATAGRAM),
        # A request shows its whole ticket before it says what it asks for; one with a long list of groups has some 10 KB.
        "tcp": Framing(Cut.LENGTH, keep=16_384, at=0, width=4, add=4, mask=0x7FFFFFFF),
    },
    signatures=tuple(_signatures()),
    tables=("kerberos",),
    ports=(88,),
    stays=True,
    reader=KerberosReader,
    reference="RFC 4120",
)
