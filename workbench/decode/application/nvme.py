"""NVMe/TCP (NVM Express TCP Transport 1.0, Base 2.0): who connects to which subsystem, and how much is read and written.

Data PDUs are counted by their headers. One row per connection, which is one queue, when it ends.
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

_IC_REQUEST, _IC_ANSWER, _COMMAND, _RESPONSE, _TO_CONTROLLER, _TO_HOST = 0, 1, 4, 5, 6, 7
#: 2 and 3 end a connection, 9 is ready to transfer.
_TYPES: Final = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 9})
_COMMON, _CAPSULE, _CONNECT_DATA = 8, 72, 1024
_WRITE, _READ, _FABRICS, _CONNECT = 0x01, 0x02, 0x7F, 0x01
_DATA_DIGEST: Final = 0x02
_STATUS: Final = {
    0x180: "CONNECT_INCOMPATIBLE_FORMAT",
    0x181: "CONNECT_CONTROLLER_BUSY",
    0x182: "CONNECT_INVALID_PARAMETERS",
    0x183: "CONNECT_RESTART_DISCOVERY",
    0x184: "CONNECT_INVALID_HOST",
    0x191: "AUTHENTICATION_REQUIRED",
    0x002: "INVALID_FIELD",
    0x006: "INTERNAL_ERROR",
}


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _name(data: bytes) -> str | None:
    return text(data.split(b"\0")[0], 223) or None


class NvmeReader:
    """Reads the PDUs of one connection."""

    def __init__(self, _context: Context) -> None:
        self.services: list[str] = []
        self._row: dict[str, Any] = dict.fromkeys(("ts", "host_nqn", "subsystem_nqn", "queue", "status", "digests"))
        self._counts = {"reads": 0, "writes": 0, "read_bytes": 0, "write_bytes": 0}
        self._connect: int | None = None  # its command identifier

    def message(self, message: Message) -> Iterable[Row]:
        """Take in one PDU."""
        data = message.data
        if len(data) < _COMMON or data[0] not in _TYPES or data[2] < _COMMON:
            raise Malformed("no NVMe/TCP PDU")
        if self._row["ts"] is None:
            self._row["ts"] = message.ts
        kind = data[0]
        if kind in (_IC_REQUEST, _IC_ANSWER):
            self._initialise(kind, data)
        elif kind == _COMMAND:
            self._command(data)
        elif kind == _RESPONSE:
            self._response(data)
        elif kind in (_TO_CONTROLLER, _TO_HOST) and len(data) >= 20:
            self._counts["write_bytes" if kind == _TO_CONTROLLER else "read_bytes"] += _little(data, 16, 4)
        return ()

    def end(self) -> Iterable[Row]:
        """The row."""
        if not self.services or self._row["ts"] is None:
            return ()
        row = {**self._row, **self._counts}
        self._row["ts"] = None
        return (("nvme", row),)

    def _initialise(self, kind: int, data: bytes) -> None:
        """ICReq, ICResp: format 0; digests that the controller agrees to."""
        if len(data) < 12:
            raise Malformed("an NVMe/TCP initialisation that is too short")
        self.services = ["nvme"]
        on = [name for bit, name in ((1, "header"), (2, "data")) if data[11] & bit]
        if kind == _IC_ANSWER or self._row["digests"] is None:
            self._row["digests"] = ",".join(on) or "none"

    def _command(self, data: bytes) -> None:
        if len(data) < _CAPSULE:
            raise Malformed("an NVMe command capsule that is too short")
        self.services = ["nvme"]
        opcode = data[8]
        if opcode == _FABRICS and data[12] == _CONNECT:
            self._connect = _little(data, 10, 2)
            self._row["queue"] = _little(data, 50, 2)
            said = data[max(data[3], data[2]) :][:_CONNECT_DATA]
            self._row["subsystem_nqn"] = _name(said[256:512])
            self._row["host_nqn"] = _name(said[512:768])
        elif self._row["queue"] == 0:
            return  # the admin queue's commands have other numbers
        elif opcode == _READ:
            self._counts["reads"] += 1
        elif opcode == _WRITE:
            self._counts["writes"] += 1
            if data[3]:  # data within the capsule
                size = _little(data, 4, 4) - data[3] - (4 if data[1] & _DATA_DIGEST else 0)
                self._counts["write_bytes"] += max(0, size)

    def _response(self, data: bytes) -> None:
        """Only the answer to the connect command is looked at."""
        if len(data) < 24:
            raise Malformed("an NVMe response capsule that is too short")
        self.services = ["nvme"]
        if self._connect is not None and _little(data, 20, 2) == self._connect:
            self._connect = None
            status = _little(data, 22, 2) >> 1 & 0x7FF
            self._row["status"] = _STATUS.get(status, f"0x{status:03x}") if status else None


def _reader(context: Context) -> Reader:
    return NvmeReader(context)


_PORTS: Final = (4420, 8009)

PROTOCOL = Protocol(
    name="nvme",
    title="NVMe over TCP",
    framing=Framing(Cut.LENGTH, keep=1104, at=4, width=4, little=True),
    signatures=(
        Signature("tcp", b"\0\0\x80\0\x80\0\0\0\0\0", least=12, strong=True),
        Signature("tcp", b"\x01\0\x80\0\x80\0\0\0\0\0", least=12, strong=True),
        Signature("tcp", b"\x04\0\x48\0\0", mask=b"\xff\xfc\xff\0\0", least=12, ports=_PORTS),
        Signature("tcp", b"\x05\0\x18\0\x18\0\0\0", mask=b"\xff\xfc\xff\xff\xf0\xff\xff\xff", least=12, ports=_PORTS),
    ),
    tables=("nvme",),
    ports=_PORTS,
    guests=("tls",),
    reader=_reader,
    reference="NVM Express TCP Transport 1.0",
)
