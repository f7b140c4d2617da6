"""What tshark and capinfos say of a capture: totals, and who talked to whom by the innermost IP header."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

TOOLS = ("tshark", "capinfos")
_FIELDS = (
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ip.len",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.nxt",
    "ipv6.plen",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "sctp.srcport",
    "sctp.dstport",
)
#: Behind these layers a packet quotes others, which are no packets of their own.
_QUOTING = ("icmp", "icmpv6", "sflow", "cflow", "nhrp")
#: Header by header as it lies there: nothing put together, nothing guessed.
_AS_IT_IS = ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams", "sctp.reassembly")


class Pair(NamedTuple):
    """One direction between two addresses."""

    proto: int
    src: str
    dst: str


class Tuple(NamedTuple):
    """A 5-tuple regardless of direction."""

    proto: int
    ends: frozenset[tuple[str, int]]


@dataclass(slots=True)
class Spoken:
    """Packets and IP bytes by direction, and the 5-tuples with ports."""

    packets: Counter[Pair] = field(default_factory=Counter)
    octets: Counter[Pair] = field(default_factory=Counter)
    tuples: set[Tuple] = field(default_factory=set)


_KEPT = Path(__file__).parents[2] / ".pytest_cache" / "conformance"


def missing() -> list[str]:
    """The programs that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


@cache
def version() -> str:
    """The tshark that answers, such as 4.0.11."""
    said = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2] if len(said.split()) > 2 else said.strip()


def totals(path: Path) -> tuple[int, int] | None:
    """Packets, and bytes on the wire; None where capinfos reads nothing of it."""
    done = subprocess.run(["capinfos", "-T", "-M", "-c", "-d", "-r", str(path)], capture_output=True, text=True, check=False)
    parts = done.stdout.strip().split("\t")
    return (int(parts[1]), int(parts[2])) if len(parts) == 3 else None


def layers(path: Path) -> set[str]:
    """Names of all layers of all frames, as tshark's frame.protocols has them."""
    return {name for line in _answer(path).splitlines() for name in line.split("\t")[0].split(":")}


def _answer(path: Path) -> str:
    """What tshark says of every frame.

    A second a capture, so it is kept beside pytest's own cache, by version, content and question.
    """
    question = hashlib.sha256(repr((version(), _FIELDS, _AS_IT_IS)).encode() + path.read_bytes()).hexdigest()
    kept = _KEPT / question[:32]
    if not kept.exists():
        answer = _ask(path)
        _KEPT.mkdir(parents=True, exist_ok=True)
        kept.with_suffix(f".{os.getpid()}").write_text(answer)
        kept.with_suffix(f".{os.getpid()}").replace(kept)
    return kept.read_text()


def spoken(path: Path) -> Spoken:
    """Read every frame with tshark; ICMP and other quotations count as what carries them."""
    found = Spoken()
    for line in _answer(path).splitlines():
        values = dict(zip(_FIELDS, line.split("\t"), strict=False))
        _count(found, {name: text.split(";") if text else [] for name, text in values.items()})
    return found


def _ask(path: Path) -> str:
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
    for name in _AS_IT_IS:
        command += ["-o", f"{name}:FALSE"]
    for name in _FIELDS:
        command += ["-e", name]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout


def _count(found: Spoken, values: dict[str, list[str]]) -> None:
    """Add one frame by its innermost IP header."""
    layers = ":".join(values.get("frame.protocols", [])).split(":")
    for n, layer in enumerate(layers):
        if layer in _QUOTING:
            layers = layers[: n + 1]
            break
    at = max((n for n, layer in enumerate(layers) if layer in ("ip", "ipv6")), default=None)
    if at is None:
        return
    kind = layers[at]
    index = layers[: at + 1].count(kind) - 1
    if len(values[f"{kind}.src"]) <= index:
        return
    src, dst = values[f"{kind}.src"][index], values[f"{kind}.dst"][index]
    if kind == "ip":
        proto, octets = _number(values["ip.proto"], index), _number(values["ip.len"], index)
    else:
        proto, octets = _number(values["ipv6.nxt"], index), _number(values["ipv6.plen"], index) + 40
    above = next((layer for layer in layers[at + 1 :] if layer in ("tcp", "udp", "sctp", "icmp", "icmpv6", "udplite")), "")
    proto = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58}.get(above, proto)
    pair = Pair(proto, src, dst)
    found.packets[pair] += 1
    found.octets[pair] += octets
    if above in ("tcp", "udp", "sctp"):
        which = layers[:at].count(above)
        ports = values[f"{above}.srcport"], values[f"{above}.dstport"]
        if len(ports[0]) > which and len(ports[1]) > which:
            found.tuples.add(Tuple(proto, frozenset({(src, int(ports[0][which])), (dst, int(ports[1][which]))})))


def _number(values: list[str], index: int) -> int:
    try:
        return int(values[index])
    except (IndexError, ValueError):
        return 0
