"""RIP (RFC 2453) and RIPng (RFC 2080): known at home by command, version and the zeros behind them."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (520, 521)
PROTOCOL: Final = Protocol(
    name="rip",
    title="Routing Information Protocol",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"\x01\0\0\0", mask=b"\xff\xfc\xff\xff", least=24, ports=_PORTS, strong=True),
        Signature("udp", b"\x02\0\0\0", mask=b"\xff\xfc\xff\xff", least=24, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 2453, RFC 2080",
)
