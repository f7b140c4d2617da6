"""Radmin, a remote control: known by its first ten bytes, or at home by a short message of type 1."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="radmin",
    title="Radmin",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"\x01\0\0\0\x01\0\0\0\x08\x08", strong=True),
        Signature("tcp", b"\x01\0\0\0", least=10, ports=(4899,), strong=True),
    ),
    ports=(4899,),
    reference="observed: Radmin 3",
)
