"""Advanced Message Queuing Protocol (AMQP 0-9-1, 4.2.2; 1.0, 2.2): known by the client's header."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="amqp",
    title="Advanced Message Queuing Protocol",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"AMQP\0", mask=b"\xff\xff\xff\xff\xfc", least=8, strong=True),),
    ports=(5672,),
    reference="AMQP 0-9-1, 4.2.2; 1.0, 2.2",
)
