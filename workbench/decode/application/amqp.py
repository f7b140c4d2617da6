"""Advanced Message Queuing Protocol (AMQP 0-9-1, 4.2.2; 1.0, 2.2): known by the client's header, at home by any frame."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (5672,)
PROTOCOL: Final = Protocol(
    name="amqp",
    title="Advanced Message Queuing Protocol",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"AMQP\0", mask=b"\xff\xff\xff\xff\xfc", least=8, strong=True),
        Signature("tcp", b"\0\0\0\0", mask=b"\xfc\xff\0\xff", least=8, ports=_PORTS, strong=True),
    ),
    ports=_PORTS,
    reference="AMQP 0-9-1, 4.2.2; 1.0, 2.2",
)
