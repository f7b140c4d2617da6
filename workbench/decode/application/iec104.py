"""IEC 60870-5-104 (IEC 60870-5-104): known by the first frame of a link."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="iec104",
    title="IEC 60870-5-104",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"\x68\x04\x07\0\0\0", strong=True),
        Signature("tcp", b"\x68\x04\x0b\0\0\0", strong=True),
    ),
    ports=(2404,),
    reference="IEC 60870-5-104",
)
