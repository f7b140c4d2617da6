"""Tabular Data Stream (MS-TDS, 2.2.6.5): known at home by a client's PRELOGIN."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (1433, 1434)
PROTOCOL: Final = Protocol(
    name="tds",
    title="Tabular Data Stream",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\x12\x01\0\0\0\0", mask=b"\xff\xff\xfe\0\xff\xff", side="src", ports=_PORTS, strong=True),),
    ports=_PORTS,
    guests=("tls",),
    reference="MS-TDS, 2.2.6.5",
)
