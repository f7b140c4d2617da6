"""Modbus/TCP (MODBUS Messaging on TCP/IP, 3.1.3): known at home by its header."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (502,)
PROTOCOL: Final = Protocol(
    name="modbus",
    title="Modbus/TCP",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\0\0\0\0\0", mask=b"\0\0\xff\xff\xff", least=8, ports=_PORTS, strong=True),),
    ports=_PORTS,
    reference="MODBUS Messaging on TCP/IP, 3.1.3",
)
