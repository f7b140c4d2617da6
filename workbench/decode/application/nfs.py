"""NFS and what belongs to it: ONC RPC (RFC 5531) of the port mapper, mount, NFS 2 to 4, and lock manager, over UDP and TCP.

One row per program, version, procedure and result of a flow with how often: a mounted disk says the same thing thousands of
times. Of arguments only the path of a mount call and the operations of an NFSv4 compound are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from workbench.decode.application import nfs_names as names
from workbench.decode.application.nfs_compound import operations
from workbench.decode.application.protocol import (
    MOST_WAITING,
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
from workbench.decode.application.tally import Tally

_CALL, _REPLY = 0, 1
_LAST: Final = 0x80  # record marking: the last fragment
_MOST_AUTH: Final = 400
_SYS, _GSS = 1, 6
_INTEGRITY, _PRIVACY = 2, 3
_MOST_MACHINE: Final = 255
#: Calls to these mount procedures say a path.
_WITH_PATH: Final = (1, 3)
_PARTS: Final = ("program", "version", "procedure", "status", "machine", "export", "auth")

#: Call as it waits: program, version, procedure's number, time, then the parts of a row before and behind the status.
_Call = tuple[int, int, int, int, tuple[str, str, str], tuple[str | None, str | None, str]]


def _number(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise Malformed("an RPC message ends within a number")
    return int.from_bytes(data[at : at + 4], "big")


def _string(data: bytes, at: int, limit: int) -> str | None:
    size = int.from_bytes(data[at : at + 4], "big")
    return text(data[at + 4 : at + 4 + size], limit) or None


def procedure_name(program: int, version: int, procedure: int) -> str:
    """A procedure's name, or its number."""
    return names.PROCEDURES.get((program, version), {}).get(procedure, str(procedure))


def status_name(program: int, version: int, status: int) -> str:
    """A result as the program's document names it."""
    prefix = names.PREFIXES.get((program, version), "")
    known = names.RESULTS_4 if version == 4 else names.RESULTS
    return f"{prefix.removesuffix('ERR_')}_OK" if status == 0 else f"{prefix}{known.get(status, status)}"


def _has_status(program: int, version: int, procedure: int) -> bool:
    """Whether a result begins with a status."""
    if program == names.MOUNT:
        return procedure == 1
    return (program, version) in names.PREFIXES and procedure != 0 and not (version == 2 and procedure in (3, 7))


class NfsReader:
    """Reads the calls and replies of one flow."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._marked = context.transport == "tcp"
        self._inside = [False, False]  # of a record whose first fragment was read
        self._waiting: dict[tuple[int, int], _Call] = {}
        self._tally = Tally("nfs", _PARTS)

    def message(self, message: Message) -> Iterable[Row]:
        """Take in one datagram or fragment of a record."""
        data = message.data
        if self._marked:
            inside = self._inside[message.side]
            self._inside[message.side] = not data[:1] >= bytes([_LAST])
            if inside:
                return ()
            data = data[4:]
        kind = _number(data, 4)
        if kind == _CALL:
            return self._call(message, data)
        if kind == _REPLY:
            return self._reply(message, data)
        raise Malformed("an RPC message that is neither call nor reply")

    def end(self) -> Iterable[Row]:
        """All rows; what waits has no status."""
        rows: list[Row] = []
        for call in self._waiting.values():
            rows += self._count(call, None)
        self._waiting.clear()
        return [*rows, *self._tally.end()]

    def _call(self, message: Message, data: bytes) -> Iterable[Row]:
        program, version, procedure = _number(data, 12), _number(data, 16), _number(data, 20)
        if _number(data, 8) != 2:
            raise Malformed("not version 2 of RPC")
        if program not in names.PROGRAMS:
            return ()
        flavor, size = _number(data, 24), _number(data, 28)
        if size > _MOST_AUTH:
            raise Malformed("RPC credentials of more than 400 bytes")
        self.services = ["nfs"]
        machine = _string(data, 36, _MOST_MACHINE) if flavor == _SYS else None
        at = 32 + (size + 3 & ~3)
        at += 8 + (int.from_bytes(data[at + 4 : at + 8], "big") + 3 & ~3)  # the verifier
        name = procedure_name(program, version, procedure)
        export = None
        service = _number(data, 44) if flavor == _GSS and size >= 16 and len(data) >= 48 else 0
        if service == _INTEGRITY:
            at += 8  # length and sequence number
        if service != _PRIVACY:
            if program == names.MOUNT and procedure in _WITH_PATH:
                export = _string(data, at, 1024)
            elif (program, version, procedure) == (names.NFS, 4, 1):
                name = ",".join(operations(data, at)) or name
        said = (names.PROGRAMS[program], str(version), name)
        call = (program, version, procedure, message.ts, said, (machine, export, names.AUTHS.get(flavor, str(flavor))))
        rows: Iterable[Row] = ()
        if len(self._waiting) >= MOST_WAITING:
            rows = self._count(self._waiting.pop(next(iter(self._waiting))), None)
        self._waiting[_number(data, 0), message.side] = call
        return rows

    def _reply(self, message: Message, data: bytes) -> Iterable[Row]:
        call = self._waiting.pop((_number(data, 0), 1 - message.side), None)
        if call is None:
            return ()
        if _number(data, 8):
            denied = _number(data, 12)
            return self._count(call, names.DENIED.get(denied, str(denied)))
        at = 20 + (min(_number(data, 16), 1024) + 3 & ~3)
        accepted = _number(data, at)
        program, version, procedure = call[:3]
        if accepted:
            return self._count(call, names.ACCEPTED.get(accepted, str(accepted)))
        if program == names.NLM and procedure and at + 4 < len(data):
            granted = _number(data, at + 8 + (min(_number(data, at + 4), 1024) + 3 & ~3))
            return self._count(call, names.LOCKS.get(granted, str(granted)))
        if _has_status(program, version, procedure) and at + 8 <= len(data):
            sealed = call[5][2] == "gss"
            if not sealed:
                return self._count(call, status_name(program, version, _number(data, at + 4)))
        return self._count(call, "SUCCESS")

    def _count(self, call: _Call, status: str | None) -> list[Row]:
        before, behind = call[4], call[5]
        return self._tally.add(call[3], (*before, status, *behind))


def _reader(context: Context) -> Reader:
    return NfsReader(context)


_CALLS: Final = b"\0\0\0\0\0\0\0\x02\0\x01\x86"
_MASK: Final = b"\xff" * 10 + b"\xfe"  # programs 100000 to 100351
_REPLIES: Final = b"\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0"
_PORTS: Final = (2049, 111, 20048)

PROTOCOL = Protocol(
    name="nfs",
    title="Network File System, over ONC RPC",
    framing={
        "udp": Framing(Cut.DATAGRAM, keep=1536),
        "tcp": Framing(Cut.LENGTH, keep=1536, at=0, width=4, add=4, mask=0x7FFFFFFF),
    },
    signatures=(
        Signature("udp", _CALLS, at=4, mask=_MASK, least=24),
        Signature("tcp", _CALLS, at=8, mask=_MASK, least=28),
        Signature("udp", _REPLIES, at=4, least=24, ports=_PORTS),
        Signature("tcp", _REPLIES, at=8, least=28, ports=_PORTS),
    ),
    tables=("nfs",),
    ports=_PORTS,
    reader=_reader,
    reference="RFC 5531, 1813, 8881",
)
