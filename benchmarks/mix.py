"""Which conversations a capture is mixed from: their shares, ports, servers and wrappings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks import dialogues
from benchmarks.frames import Conversation, Wrap


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of conversation: share of all flows, number of templates, ports and number of its servers."""

    name: str
    build: Callable[[Conversation], None]
    share: float
    templates: int
    ports: tuple[int, ...]
    rtt_ms: float = 0.6
    servers: int = 200
    plain: bool = False
    """never wrapped (ARP)"""


MIXED = (
    Kind("dns", dialogues.dns, 0.360, 700, (53,), 1.0, 6),
    Kind("https", dialogues.https, 0.200, 500, (443, 443, 443, 8443, 6443), 4.0, 400),
    Kind("http", dialogues.http, 0.080, 300, (80, 80, 8080, 9100), 2.0, 200),
    Kind(
        "scan",
        dialogues.scan,
        0.180,
        60,
        (22, 23, 80, 135, 139, 443, 445, 902, 1433, 3306, 3389, 5432, 5985, 6379, 8080, 8443, 9200),
        0.4,
        60000,
    ),
    Kind("ssh", dialogues.ssh, 0.015, 80, (22,), 1.0, 300),
    Kind("smb", dialogues.smb, 0.025, 120, (445,), 0.8, 20),
    Kind("quic", dialogues.quic, 0.045, 120, (443,), 8.0, 100),
    Kind("ntp", dialogues.ntp, 0.030, 10, (123,), 3.0, 4),
    Kind("ping", dialogues.ping, 0.030, 20, (0,), 0.5, 2000),
    Kind("arp", dialogues.arp, 0.015, 1, (0,), 0.2, 2000, plain=True),
    Kind("refused", dialogues.refused, 0.020, 30, (443, 5432, 9093, 8200), 0.5, 400),
    Kind("steady", dialogues.steady, 0.020, 60, (5432, 3306, 6379, 2379, 9092), 0.6, 60),
    Kind("bulk", dialogues.bulk, 0.0022, 40, (443, 9000, 873), 1.0, 20),
)
SMALL = (
    Kind("thin_tcp", dialogues.thin_tcp, 0.7, 200, (443, 80, 22, 5432), 0.6, 400),
    Kind("thin_udp", dialogues.thin_udp, 0.3, 100, (4500, 8125, 6081 + 1), 0.6, 100),
)
SCAN = (Kind("syn_only", dialogues.syn_only, 1.0, 1, (1,), 0.4, 60000),)
KINDS = {"mixed": MIXED, "small": SMALL, "scan": SCAN}


def wrap_for(rng: np.random.Generator, kind: Kind) -> Wrap:
    """How a template is wrapped: mostly bare, some on a VLAN, some in VXLAN, a little IPv6."""
    version = 6 if rng.random() < 0.12 else 4
    if kind.plain:
        return Wrap()
    draw = rng.random()
    if draw < 0.12:
        return Wrap(version, (int(rng.choice([100, 200, 300])),))
    if draw < 0.14:
        return Wrap(version, (10, 200))
    if draw < 0.26:
        return Wrap(version, (), 5000 + int(rng.integers(0, 8)))
    return Wrap(version)


def build_template(kind: Kind, rng: np.random.Generator, *, wrapped: bool) -> Conversation:
    """One template conversation of ``kind``."""
    wrap = wrap_for(rng, kind) if wrapped else Wrap()
    port = kind.ports[int(rng.integers(0, len(kind.ports)))]
    rtt = int(max(0.1, rng.exponential(kind.rtt_ms)) * 1_000_000)
    line = Conversation(rng, port, wrap, rtt)
    kind.build(line)
    return line
