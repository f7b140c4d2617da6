"""Telnet (RFC 854): known by two options in a row, which both sides begin with."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

#: WILL and DO.
_ASKED: Final = (251, 253)

PROTOCOL: Final = Protocol(
    name="telnet",
    title="Telnet",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=tuple(
        Signature("tcp", bytes([255, first, 0, 255, second]), mask=b"\xff\xff\0\xff\xff", strong=True)
        for first in _ASKED
        for second in _ASKED
    ),
    ports=(23,),
    stays=True,
    reference="RFC 854",
)
