"""NTLM tokens (MS-NLMP) as other protocols carry them: who, from which host, to which server, in which version.

Users are hashed. Responses, challenges and keys are looked at for their length only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workbench.decode.application.protocol import MOST_TEXT, Malformed, text

MAGIC: Final = b"NTLMSSP\0"
NEGOTIATE: Final = 1
CHALLENGE: Final = 2
AUTHENTICATE: Final = 3

_UNICODE: Final = 0x00000001
_PAIRS: Final = 32  # AV pairs looked at; MS-NLMP knows eleven
_NETBIOS_COMPUTER: Final = 1
_DNS_DOMAIN: Final = 4
_V1_RESPONSE: Final = 24  # bytes of an NTLMv1 or LM response


@dataclass(frozen=True, slots=True)
class Token:
    """One NTLM message. kind: NEGOTIATE, CHALLENGE or AUTHENTICATE; the fields of others are None."""

    kind: int
    domain: str | None = None
    host: str | None = None
    user: str | None = None  # as it was said; hash it before it goes anywhere
    server_name: str | None = None
    server_domain: str | None = None
    version: str | None = None


def user_hash(hashed: Callable[[str | bytes], str], user: str | None) -> str | None:
    """A person's hash, the same whichever protocol names them: without realm, in lower case. None for nobody."""
    return hashed(user.casefold()) if user else None


def version(named: bool, lm: int, nt: int) -> str:
    """Which scheme the sizes of both responses (bytes) tell, and whether a user is named (MS-NLMP 2.2.2, 3.2.5.1.2)."""
    if not named and nt == 0 and lm <= 1:
        return "anonymous"
    return "NTLMv1" if nt <= _V1_RESPONSE else "NTLMv2"


def token(data: bytes) -> Token:
    """Reads one message; what lies behind the end of the data stays None. Raises Malformed."""
    if len(data) < 12 or not data.startswith(MAGIC):
        raise Malformed("NTLM: no message begins here")
    kind = int.from_bytes(data[8:12], "little")
    if kind == NEGOTIATE:
        return Token(kind)
    if kind == CHALLENGE:
        return _challenge(data)
    if kind == AUTHENTICATE:
        return _authenticate(data)
    raise Malformed("NTLM: a message type that does not exist")


def _field(data: bytes, at: int) -> tuple[int, int]:
    """Length and offset of the payload field described at `at`. Raises Malformed."""
    if at + 8 > len(data):
        raise Malformed("NTLM: a message without its fields")
    size, _room, offset = struct.unpack_from("<HHI", data, at)
    return size, offset


def _said(data: bytes, at: int, unicode: bool) -> str | None:
    """The text of the field at `at`; None where it is empty or cut off."""
    size, offset = _field(data, at)
    raw = data[offset : offset + min(size, 4 * MOST_TEXT)]
    if not size or offset + size > len(data):
        return None
    return wide(raw) if unicode else text(raw)


def wide(raw: bytes) -> str:
    """UTF-16, least significant byte first, as it can be kept."""
    return (
        raw.decode("utf-16-le", "backslashreplace")
        .encode("utf-8", "backslashreplace")
        .decode()
        .replace("\0", "\\x00")[:MOST_TEXT]
    )


def _challenge(data: bytes) -> Token:
    pairs: dict[int, str] = {}
    if len(data) >= 48:
        size, offset = _field(data, 40)
        at, end = offset, min(offset + size, len(data))
        for _ in range(_PAIRS):
            if at + 4 > end:
                break
            kind, width = struct.unpack_from("<HH", data, at)
            if kind == 0 or at + 4 + width > end:
                break
            if kind in (_NETBIOS_COMPUTER, _DNS_DOMAIN):
                pairs[kind] = wide(data[at + 4 : at + 4 + width])
            at += 4 + width
    return Token(CHALLENGE, server_name=pairs.get(_NETBIOS_COMPUTER), server_domain=pairs.get(_DNS_DOMAIN))


def _authenticate(data: bytes) -> Token:
    lm, _ = _field(data, 12)
    nt, _ = _field(data, 20)
    if len(data) < 52:
        raise Malformed("NTLM: a message without its fields")
    flags = int.from_bytes(data[60:64], "little") if len(data) >= 64 else _UNICODE
    unicode = bool(flags & _UNICODE)
    named, _ = _field(data, 36)
    return Token(
        AUTHENTICATE,
        domain=_said(data, 28, unicode),
        host=_said(data, 44, unicode),
        user=_said(data, 36, unicode),
        version=version(bool(named), lm, nt),
    )
