"""RDP (MS-RDPBCGR, 2.2.1): the connection request and its answer, and what the client says of itself where that is in the clear.

Where both agree on TLS, which is the rule today, all that follows is encrypted; the engine then reads the stream as `tls`.
TPKT and X.224 alone are not RDP: S7 and MMS travel in them too. A cookie, a negotiation or client core data is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from workbench.decode.application.protocol import (
    Context,
    Cut,
    Framing,
    Malformed,
    Message,
    Protocol,
    Reader,
    Row,
    Signature,
    text,
)

_REQUEST, _CONFIRM, _DATA = 0xE0, 0xD0, 0xF0
_COOKIE: Final = b"Cookie: mstshash="
_TOKEN: Final = b"Cookie: msts="
_NEGOTIATE, _RESPONSE, _FAILURE = 1, 2, 3
_CORE: Final = 0xC001
_PROTOCOLS: Final = {1: "tls", 2: "hybrid", 4: "rdstls", 8: "hybrid_ex", 16: "rdsaad"}
_FAILURES: Final = {
    1: "SSL_REQUIRED_BY_SERVER",
    2: "SSL_NOT_ALLOWED_BY_SERVER",
    3: "SSL_CERT_NOT_ON_SERVER",
    4: "INCONSISTENT_FLAGS",
    5: "HYBRID_REQUIRED_BY_SERVER",
    6: "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
}


def protocols_of(flags: int) -> str:
    """Security protocols by name, comma separated; rdp: RDP's own."""
    names = [name for bit, name in _PROTOCOLS.items() if flags & bit]
    other = flags & ~sum(_PROTOCOLS)
    return ",".join([*names, *([f"0x{other:x}"] if other else [])]) or "rdp"


def negotiation(data: bytes) -> tuple[int, int] | None:
    """Kind and value of an RDP negotiation structure, of 8 bytes; None where it is none."""
    if len(data) >= 8 and data[0] in (_NEGOTIATE, _RESPONSE, _FAILURE) and data[2:4] == b"\x08\0":
        return data[0], int.from_bytes(data[4:8], "little")
    return None


class RdpReader:
    """Reads the start of one RDP connection; one row."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._context = context
        self._row: dict[str, Any] = dict.fromkeys(
            ("ts", "cookie_hash", "security", "client_name", "selected", "result", "client_build", "keyboard")
        )
        self._told = False

    def message(self, message: Message) -> Iterable[Row]:
        """Take in one TPKT packet."""
        data = message.data
        if self._told:
            return ()
        if len(data) < 7 or data[0] != 3:
            raise Malformed("no TPKT packet with an X.224 header")
        if self._row["ts"] is None:
            self._row["ts"] = message.ts
        header = data[5] & 0xF0
        if header == _REQUEST:
            self._request(data)
        elif header == _CONFIRM:
            return self._confirm(data)
        elif header == _DATA and self._core(data):
            return self._tell()
        return ()

    def end(self) -> Iterable[Row]:
        """What was learned of a connection that ended."""
        return self._tell()

    def _request(self, data: bytes) -> None:
        """Connection request: a cookie or routing token, then what the client could do."""
        rest = data[11:]
        if rest.startswith((_COOKIE, _TOKEN)):
            end = rest.find(b"\r\n")
            if end < 0:
                raise Malformed("a cookie without end")
            if rest.startswith(_COOKIE):
                self._row["cookie_hash"] = self._context.hashed(rest[len(_COOKIE) : end])
            self.services = ["rdp"]
            rest = rest[end + 2 :]
        told = negotiation(rest)
        if told is not None and told[0] == _NEGOTIATE:
            self._row["security"] = protocols_of(told[1])
            self.services = ["rdp"]
        elif self.services:
            self._row["security"] = "rdp"

    def _confirm(self, data: bytes) -> Iterable[Row]:
        """Connection confirm; without negotiation the server knows RDP's own security only."""
        told = negotiation(data[11:])
        if told is None:
            if self.services:
                self._row["selected"] = "rdp"
            return ()
        self.services = ["rdp"]
        if told[0] == _FAILURE:
            self._row["result"] = _FAILURES.get(told[1], f"failure_{told[1]}")
        else:
            self._row["selected"] = protocols_of(told[1])
        return self._tell() if told[0] == _FAILURE or told[1] else ()

    def _core(self, data: bytes) -> bool:
        """Client core data in a GCC conference create request (2.2.1.3.2); False where there is none."""
        at = data.find(b"Duca", 7)
        if at < 0 or data[7:9] != b"\x7fe":
            return False
        at += 4
        at += 2 if data[at : at + 1] >= b"\x80" else 1  # a PER length, of no use here
        block = data[at:]
        if int.from_bytes(block[:2], "little") != _CORE or len(block) < 28:
            raise Malformed("client data without core data")
        self.services = ["rdp"]
        name = block[24:56].decode("utf-16-le", "replace").split("\0")[0]
        self._row["keyboard"] = f"0x{int.from_bytes(block[16:20], 'little'):08x}"
        self._row["client_build"] = int.from_bytes(block[20:24], "little") & 0x7FFFFFFF
        self._row["client_name"] = text(name.encode("utf-8")) or None
        return True

    def _tell(self) -> Iterable[Row]:
        if self._told or not self.services:
            return ()
        self._told = True
        return (("rdp", self._row),)


def _reader(context: Context) -> Reader:
    return RdpReader(context)


_MASK: Final = b"\xff\xff\0\0\0\xff\xff\xff"

PROTOCOL = Protocol(
    name="rdp",
    title="Remote Desktop Protocol",
    framing=Framing(Cut.LENGTH, keep=2048, most=8, at=2, width=2),
    signatures=(
        Signature("tcp", b"\x03\0\0\0\0\xe0\0\0", mask=_MASK, least=11),
        Signature("tcp", b"\x03\0\0\0\0\xd0\0\0", mask=_MASK, least=11),
    ),
    tables=("rdp",),
    ports=(3389,),
    stays=True,
    reader=_reader,
    reference="MS-RDPBCGR",
)
