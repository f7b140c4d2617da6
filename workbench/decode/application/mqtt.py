"""MQTT (MQTT 5.0, 3.1): known by the client's CONNECT."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="mqtt",
    title="MQTT",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"\x10\0\0\x04MQTT", mask=b"\xff\0" + b"\xff" * 6, side="src", strong=True),
        Signature("tcp", b"\x10\x80\0\0\x04MQTT", mask=b"\xff\x80\0" + b"\xff" * 6, side="src", strong=True),
        Signature("tcp", b"\x10\0\0\x06MQIsdp", mask=b"\xff\0" + b"\xff" * 8, side="src", strong=True),
    ),
    ports=(1883,),
    reference="MQTT 5.0, 3.1",
)
