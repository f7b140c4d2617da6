"""iSCSI (RFC 7143): the login of a session. The first bytes of each direction hold it; what follows is never looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

_HEADER: Final = 48
_LOGIN, _ANSWER = 0x03, 0x23
#: Results by class and detail (11.13.5).
_STATUS: Final = {
    0x0000: "SUCCESS",
    0x0101: "TARGET_MOVED_TEMPORARILY",
    0x0102: "TARGET_MOVED_PERMANENTLY",
    0x0200: "INITIATOR_ERROR",
    0x0201: "AUTHENTICATION_FAILURE",
    0x0202: "AUTHORIZATION_FAILURE",
    0x0203: "NOT_FOUND",
    0x0204: "TARGET_REMOVED",
    0x0205: "UNSUPPORTED_VERSION",
    0x0206: "TOO_MANY_CONNECTIONS",
    0x0207: "MISSING_PARAMETER",
    0x0208: "CANNOT_INCLUDE_IN_SESSION",
    0x0209: "SESSION_TYPE_NOT_SUPPORTED",
    0x020A: "SESSION_DOES_NOT_EXIST",
    0x020B: "INVALID_DURING_LOGIN",
    0x0300: "TARGET_ERROR",
    0x0301: "SERVICE_UNAVAILABLE",
    0x0302: "OUT_OF_RESOURCES",
}


def logins(data: bytes, opcode: int, cut: bool) -> Iterator[tuple[bytes, bytes]]:
    """Header and text of each login PDU at the start of a direction; other PDUs end it."""
    at = 0
    while at + _HEADER <= len(data) and data[at] & 0x3F == opcode:
        header = data[at : at + _HEADER]
        start = at + _HEADER + 4 * header[4]
        size = int.from_bytes(header[5:8], "big")
        if start + size > len(data) and not cut:
            raise Malformed("an iSCSI login is longer than what was sent")
        yield header, data[start : start + size]
        at = start + (size + 3 & ~3)


def keys(said: bytes) -> dict[str, str]:
    """Login keys and their first values (RFC 7143, 6.1)."""
    found: dict[str, str] = {}
    for pair in said.split(b"\0"):
        name, equals, value = pair.partition(b"=")
        if equals:
            found.setdefault(text(name, 63), text(value))
    return found


class IscsiReader:
    """Reads both directions' first bytes; one row."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._context = context
        self._row: dict[str, Any] = dict.fromkeys(("initiator", "target", "session", "auth", "status", "user_hash"))
        self._ts: int | None = None
        self._sides: set[int] = set()
        self._methods: list[str | None] = [None, None]  # offered, chosen

    def message(self, message: Message) -> Iterable[Row]:
        """Take in the start of a direction."""
        if not message.data or message.side in self._sides:
            return ()
        self._sides.add(message.side)
        opcode = message.data[0] & 0x3F
        if opcode not in (_LOGIN, _ANSWER):
            raise Malformed("an iSCSI direction that begins with no login")
        self._ts = message.ts if self._ts is None else min(self._ts, message.ts)
        found = list(logins(message.data, opcode, message.cut or len(message.data) >= _KEEP))
        said = keys(b"".join(part for _, part in found))
        if opcode == _LOGIN:
            self._asked(said)
        elif found:
            self._answered(said, [int.from_bytes(header[36:38], "big") for header, _ in found])
        return self._tell() if len(self._sides) == 2 else ()

    def end(self) -> Iterable[Row]:
        """A login of which one direction was seen."""
        return self._tell()

    def _asked(self, said: dict[str, str]) -> None:
        if not said:
            return
        self.services = ["iscsi"]
        self._row["initiator"] = said.get("InitiatorName")
        self._row["target"] = said.get("TargetName")
        self._row["session"] = said.get("SessionType", "Normal")  # the default (13.21)
        self._methods[0] = said.get("AuthMethod")
        if "CHAP_N" in said:
            self._row["user_hash"] = self._context.hashed(said["CHAP_N"])

    def _answered(self, said: dict[str, str], statuses: list[int]) -> None:
        self.services = ["iscsi"]
        status = next((status for status in statuses if status >> 8 > 1), statuses[-1])
        self._row["status"] = _STATUS.get(status, f"0x{status:04x}")
        self._methods[1] = said.get("AuthMethod")

    def _tell(self) -> Iterable[Row]:
        if not self.services or self._ts is None:
            return ()
        row = {"ts": self._ts, **self._row, "auth": "; ".join(method for method in self._methods if method) or None}
        self._ts = None
        return (("iscsi", row),)


def _reader(context: Context) -> Reader:
    return IscsiReader(context)


_KEEP: Final = 8192
_MASK: Final = b"\xff\x30\xff\xff\xff"  # opcode, flags that are reserved, versions 0, no additional header

PROTOCOL = Protocol(
    name="iscsi",
    title="Internet SCSI",
    framing=Framing(Cut.HEAD, keep=_KEEP),
    signatures=(
        Signature("tcp", b"\x43\0\0\0\0", mask=_MASK, least=_HEADER),
        Signature("tcp", b"\x23\0\0\0\0", mask=_MASK, least=_HEADER, ports=(3260, 860)),
    ),
    tables=("iscsi",),
    ports=(3260, 860),
    reader=_reader,
    reference="RFC 7143",
)
