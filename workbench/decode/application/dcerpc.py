"""DCE/RPC (C706, MS-RPCE) over TCP and UDP; over SMB pipes it is `smb` that reads it, with the same functions."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from workbench.decode.application import dcerpc_names as names
from workbench.decode.application.dcerpc_calls import Association, fault, ordered, tally, uuid
from workbench.decode.application.protocol import (
    MOST_WAITING,
    Context,
    Cut,
    Framing,
    Malformed,
    Message,
    Protocol,
    Row,
    Signature,
)

_CL_HEADER: Final = 80
_CL_LAST_TYPE: Final = 10
_REQUEST, _RESPONSE, _FAULT, _REJECT = 0, 2, 3, 6


class StreamReader:
    """Connection-oriented PDUs over TCP."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._counts = tally()
        self._association = Association(context, self._counts)

    def message(self, message: Message) -> Iterable[Row]:
        """One PDU."""
        try:
            return self._association.pdu(message.ts, message.data, message.whole)
        finally:
            if self._association.seen:
                self.services = ["dcerpc"]

    def end(self) -> Iterable[Row]:
        """Everything that was counted."""
        return [*self._association.end(), *self._counts.end()]


class DatagramReader:
    """Connectionless PDUs over UDP: each names its interface."""

    def __init__(self, _context: Context) -> None:
        self.services: list[str] = []
        self._counts = tally()
        self._calls: dict[tuple[bytes, int], tuple[int, tuple[object, ...], int]] = {}

    def message(self, message: Message) -> Iterable[Row]:
        """One datagram."""
        data = message.data
        if len(data) < _CL_HEADER or data[0] != 4 or data[1] > _CL_LAST_TYPE:
            raise Malformed("DCE/RPC: no connectionless PDU begins here")
        order = ordered(data[4])
        version, number, opnum = struct.unpack_from(order + "IIH", data, 60)
        size, fragment = struct.unpack_from(order + "HH", data, 74)
        if size > message.whole - _CL_HEADER:
            raise Malformed("DCE/RPC: a body longer than its datagram")
        self.services = ["dcerpc"]
        activity = (data[40:56], number)
        if data[1] == _REQUEST and fragment == 0:
            uid = uuid(data[24:40], order)
            key = (names.interface(uid), uid, names.operation(uid, opnum), None, opnum, f"{version & 0xFFFF}.{version >> 16}")
            return self._asked(message.ts, activity, key, size)
        if data[1] in (_RESPONSE, _FAULT, _REJECT) and fragment == 0:
            result = "answered"
            if data[1] != _RESPONSE:
                if len(data) < _CL_HEADER + 4:
                    raise Malformed("DCE/RPC: a fault without its status")
                result = fault(struct.unpack_from(order + "I", data, _CL_HEADER)[0])
            return self._answered(activity, result, size)
        return []

    def end(self) -> Iterable[Row]:
        """Everything that was counted."""
        rows: list[Row] = []
        for activity in list(self._calls):
            rows += self._answered(activity, None, 0)
        return rows + self._counts.end()

    def _asked(self, ts: int, activity: tuple[bytes, int], key: tuple[object, ...], size: int) -> list[Row]:
        if activity in self._calls:  # sent again
            return []
        rows = self._answered(next(iter(self._calls)), None, 0) if len(self._calls) >= MOST_WAITING else []
        self._calls[activity] = (ts, key, size)
        return rows

    def _answered(self, activity: tuple[bytes, int], result: str | None, size: int) -> list[Row]:
        if activity not in self._calls:
            return []
        ts, key, asked = self._calls.pop(activity)
        return self._counts.add(ts, (*key, result, None, None), asked, size)


def _reader(context: Context) -> StreamReader | DatagramReader:
    return DatagramReader(context) if context.transport == "udp" else StreamReader(context)


PROTOCOL: Final = Protocol(
    name="dcerpc",
    title="DCE/RPC",
    framing={
        "tcp": Framing(Cut.LENGTH, keep=4_096, at=8, width=2, order_at=4),
        "udp": Framing(Cut.DATAGRAM),
    },
    signatures=(
        # version 5.0 or 5.1, a type below 32, little-endian or big-endian, ASCII, IEEE
        Signature("tcp", b"\x05\0\0\0\0\0\0\0", mask=b"\xff\xfe\xe0\0\xef\xff\xff\xff", least=16),
        Signature("udp", b"\x04\0\0\0\0\0\0", mask=b"\xff\xf0\0\xfc\xef\xff\xff", least=_CL_HEADER),
    ),
    tables=("dcerpc", "ntlm", "kerberos"),
    ports=(135, 593),
    reader=_reader,
    reference="C706, MS-RPCE",
)
