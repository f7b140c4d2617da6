"""Security tokens inside other protocols: SPNEGO (RFC 4178) and what it wraps, NTLM and Kerberos (RFC 4121), into their tables.

SMB, DCE/RPC, LDAP and HTTP hand their tokens to a Logins, which follows one authentication at a time.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Final

from workbench.decode.application import ber, kerberos, ntlm
from workbench.decode.application.protocol import Context, Malformed, Row

_SPNEGO: Final = bytes.fromhex("2b0601050502")
_KERBEROS: Final = frozenset(
    map(bytes.fromhex, ("2a864886f712010202", "2a864882f712010202", "2a864886f71201020203"))
)  # itself, as Windows 2000 wrote it, user to user
_MECHANISMS: Final[dict[bytes, str]] = {
    **dict.fromkeys(_KERBEROS, "kerberos"),
    bytes.fromhex("2b06010401823702020a"): "ntlm",
    bytes.fromhex("2b06010401823702021e"): "negoex",
}
_ACCEPTED: Final = 0
_REJECTED: Final = 2
_MOST_HEADER: Final = 65_536


@dataclass(slots=True)
class Wrapped:
    """What a token wraps. mechanism: ntlm, kerberos, negoex; state: SPNEGO's verdict, None where it says none."""

    inner: bytes = b""
    mechanism: str | None = None
    state: int | None = None


def unwrap(blob: bytes, *, cut: bool = False) -> Wrapped:
    """Takes a token out of SPNEGO and GSS-API; one that is in neither stays as it is. Raises Malformed."""
    if blob.startswith(ntlm.MAGIC):
        return Wrapped(blob, "ntlm")
    if not blob or blob[0] not in (0x60, 0xA0, 0xA1):
        return Wrapped(blob)
    top = ber.item(blob, 0, len(blob), cut=cut)
    if top.tag != 0x60:
        return _negotiation(blob, top, cut)
    named = ber.inside(blob, top, ber.OBJECT, cut=cut)
    oid = ber.value(blob, named)
    if oid == _SPNEGO:
        return _negotiation(blob, ber.item(blob, named.after, top.stop, cut=cut), cut)
    inner = blob[named.after + 2 : top.stop] if oid in _KERBEROS else blob[named.after : top.stop]
    return Wrapped(inner, _MECHANISMS.get(oid))


def _negotiation(blob: bytes, of: ber.Item, cut: bool) -> Wrapped:
    """NegTokenInit ([0]) or NegTokenResp ([1]). Raises Malformed."""
    if of.tag not in (0xA0, 0xA1):
        raise Malformed("SPNEGO: neither an offer nor an answer")
    fields = ber.fields(blob, ber.inside(blob, of, ber.SEQUENCE, cut=cut), cut=cut)
    found = Wrapped()
    if of.tag == 0xA0:
        if 0xA0 in fields:
            offered = ber.inside(blob, fields[0xA0], ber.SEQUENCE, cut=cut)
            first = next(ber.items(blob, offered.start, offered.stop, cut=cut, most=1), None)
            found.mechanism = None if first is None else _MECHANISMS.get(ber.value(blob, first))
    else:
        if 0xA0 in fields:
            found.state = ber.number(blob, ber.inside(blob, fields[0xA0], ber.ENUMERATED, cut=cut))
        if 0xA1 in fields:
            found.mechanism = _MECHANISMS.get(ber.value(blob, ber.inside(blob, fields[0xA1], ber.OBJECT, cut=cut)))
    if 0xA2 in fields:
        inner = unwrap(ber.value(blob, ber.inside(blob, fields[0xA2], ber.OCTETS, cut=cut))[:_MOST_HEADER], cut=True)
        found.inner = inner.inner
        found.mechanism = inner.mechanism or found.mechanism
    return found


def header_token(value: bytes) -> bytes | None:
    """The token of a header ``Authorization: Negotiate YII...`` or ``WWW-Authenticate: NTLM ...``; None where there is none."""
    scheme, _, encoded = value.strip().partition(b" ")
    if scheme.lower() not in (b"ntlm", b"negotiate") or not encoded.strip() or len(encoded) > _MOST_HEADER:
        return None
    try:
        return binascii.a2b_base64(encoded.strip())
    except (binascii.Error, ValueError):
        return None


class Logins:
    """Follows the authentication of one session. carrier: smb, http, dcerpc, ldap.

    mechanism: what is used, as far as the tokens have said.
    """

    def __init__(self, context: Context, carrier: str) -> None:
        self._hashed = context.hashed
        self._carrier = carrier
        self.mechanism: str | None = None
        self._ts: int | None = None  # the exchange's first packet
        self._challenge: ntlm.Token | None = None
        self._user: ntlm.Token | None = None
        self._ticket: tuple[int, kerberos.Said] | None = None

    def token(self, ts: int, blob: bytes, *, cut: bool = False) -> list[Row]:
        """Takes a token of either side. Rows that it completes. Raises Malformed."""
        found = unwrap(blob, cut=cut)
        self.mechanism = found.mechanism or self.mechanism
        rows: list[Row] = []
        if found.inner.startswith(ntlm.MAGIC):
            rows = self._ntlm(ts, ntlm.token(found.inner))
        elif found.inner[:1] in (b"\x6e", b"\x6f", b"\x7e"):
            self.mechanism = "kerberos"
            rows = self._kerberos(ts, kerberos.read(found.inner, cut=True))
        if found.state in (_ACCEPTED, _REJECTED):
            rows += self.verdict(found.state == _ACCEPTED)
        return rows

    def plain(self, ts: int, said: ntlm.Token) -> list[Row]:
        """Takes an answer to a challenge that is in no token: SMB 1 without extended security."""
        return self._ntlm(ts, said)

    def verdict(self, accepted: bool | None) -> list[Row]:
        """The carrier says how it ended; None: it did not say."""
        rows: list[Row] = []
        if self._user is not None or (self._challenge is not None and accepted is None):
            rows.append(self._authentication(accepted))
        if self._ticket is not None:
            ts, asked = self._ticket
            rows.append(kerberos.row(ts, asked, None if accepted is None else kerberos.Said(kerberos.AP_REP), self._hashed))
        if self._user is not None or accepted is not True:
            self._challenge = self._user = self._ts = None
        self._ticket = None
        return rows

    def end(self) -> list[Row]:
        """Rows of what was never judged."""
        return self.verdict(None)

    def _ntlm(self, ts: int, said: ntlm.Token) -> list[Row]:
        self.mechanism = "ntlm"
        rows: list[Row] = []
        if said.kind == ntlm.NEGOTIATE:
            rows = self.verdict(None)
        if self._ts is None:
            self._ts = ts
        if said.kind == ntlm.CHALLENGE:
            self._challenge = said
        elif said.kind == ntlm.AUTHENTICATE:
            if self._user is not None:
                rows = [self._authentication(None)]
            self._user = said
        return rows

    def _authentication(self, accepted: bool | None) -> Row:
        user = self._user or ntlm.Token(ntlm.AUTHENTICATE)
        server = self._challenge or ntlm.Token(ntlm.CHALLENGE)
        return "ntlm", {
            "ts": self._ts or 0,
            "domain": user.domain,
            "host": user.host,
            "user_hash": ntlm.user_hash(self._hashed, user.user),
            "server_name": server.server_name,
            "server_domain": server.server_domain,
            "version": user.version,
            "success": accepted if self._user is not None else None,
            "carrier": self._carrier,
        }

    def _kerberos(self, ts: int, said: kerberos.Said) -> list[Row]:
        if said.kind == kerberos.AP_REQ:
            rows = self.verdict(None) if self._ticket is not None else []
            self._ticket = (ts, said)
            return rows
        if self._ticket is None:
            return []
        (first, asked), self._ticket = self._ticket, None
        return [kerberos.row(first, asked, said, self._hashed, max(ts - first, 0))]
