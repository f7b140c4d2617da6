"""Syslog (RFC 5424, 3164): known by a priority in angle brackets and plain text behind."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

_PORTS: Final = (514, 601)
PROTOCOL: Final = Protocol(
    name="syslog",
    title="Syslog",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("udp", b"<00>", mask=b"\xff\xf0\xf0\xff", least=8, probe=Probe.TEXT, strong=True),
        Signature("udp", b"<000>", mask=b"\xff\xf0\xf0\xf0\xff", least=8, probe=Probe.TEXT, strong=True),
        Signature("udp", b"<0>", mask=b"\xff\xf0\xff", least=8, probe=Probe.TEXT, strong=True),
        Signature("tcp", b"<00>", mask=b"\xff\xf0\xf0\xff", least=8, ports=_PORTS, probe=Probe.TEXT, strong=True),
        Signature("tcp", b"<000>", mask=b"\xff\xf0\xf0\xf0\xff", least=8, ports=_PORTS, probe=Probe.TEXT, strong=True),
        Signature("tcp", b"<0>", mask=b"\xff\xf0\xff", least=8, ports=_PORTS, probe=Probe.TEXT, strong=True),
        # with a length in front of each message (RFC 6587, 3.4.1)
        Signature("tcp", b"00 <", mask=b"\xf0\xf0\xff\xff", least=8, ports=_PORTS, probe=Probe.TEXT, strong=True),
        Signature("tcp", b"000 <", mask=b"\xf0\xf0\xf0\xff\xff", least=8, ports=_PORTS, probe=Probe.TEXT, strong=True),
        Signature("tcp", b"0000 <", mask=b"\xf0\xf0\xf0\xf0\xff\xff", least=8, ports=_PORTS, probe=Probe.TEXT, strong=True),
    ),
    ports=_PORTS,
    reference="RFC 5424, 3164, 6587",
)
