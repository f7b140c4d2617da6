"""Make a capture of any size that looks like a data centre's east-west traffic: ``python -m benchmarks.generate OUT --size 2GB``.

The same kind, size, format and seed give the same bytes. A library of a few thousand conversations (:mod:`benchmarks.dialogues`)
is built once; flows are drawn from it second by second, and their packets merged by time and written in chunks, so memory does
not grow with the size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import ACK, ARP, TCP
from benchmarks.mix import KINDS, Kind, build_template
from benchmarks.stamp import FLOW, PCAP, PCAPNG, PIECE, expand, record_bytes, stamp

EPOCH_NS = 1_735_689_600_000_000_000
"""2025-01-01T00:00:00Z: the first packet's second"""
STEP_NS = 2_000_000_000
CHUNK = 32 << 20
FLOWS_PER_SECOND = {"mixed": 300.0, "small": 1500.0, "scan": 100_000.0}


@dataclass(slots=True)
class Library:
    """All templates: their bytes, pieces and, per kind, which templates are its own."""

    bank: NDArray[np.uint8]
    pieces: NDArray[np.void]
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    """captured bytes of each template"""
    of_kind: list[NDArray[np.int32]]
    weights: NDArray[np.float64]
    """share of each kind in the flows"""


@dataclass(slots=True)
class Summary:
    """What was written."""

    packets: int = 0
    flows: int = 0
    bytes: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


def parse_size(text: str) -> int:
    """'200MB', '2GB', '5M', '1000': bytes, powers of ten."""
    units = {"k": 10**3, "m": 10**6, "g": 10**9}
    word = text.strip().lower().removesuffix("b")
    if word and word[-1] in units:
        return int(float(word[:-1]) * units[word[-1]])
    return int(word)


def build_library(kinds: tuple[Kind, ...], seed: int, size: int, *, wrapped: bool) -> Library:
    """Build the templates; those larger than a fiftieth of the capture are left out so that small captures stay mixed."""
    bank, rows, firsts, counts, sizes, of_kind = bytearray(), [], [], [], [], []
    limit = max(size // 50, 20_000)
    for number, kind in enumerate(kinds):
        own = []
        wanted = max(1, min(kind.templates, int(kind.templates * size / 50_000_000) + 6))
        for n in range(wanted):
            line = build_template(kind, np.random.default_rng([seed, number, n]), wrapped=wrapped)
            if sum(len(p.data) for p in line.packets) > limit:
                continue
            own.append(len(firsts))
            firsts.append(len(rows))
            counts.append(len(line.packets))
            sizes.append(sum(len(p.data) for p in line.packets))
            for p in line.packets:
                acks = int(p.proto == TCP and bool(p.data[p.l4 + 13] & ACK))
                rows.append(
                    (
                        len(bank),
                        p.time,
                        len(p.data),
                        p.eth,
                        p.outer,
                        p.ip,
                        p.l4,
                        p.proto,
                        p.version,
                        p.side,
                        acks,
                        int(p.proto != ARP),
                    )
                )
                bank += p.data
        of_kind.append(np.array(own, np.int32))
    shares = np.array([k.share if len(o) else 0.0 for k, o in zip(kinds, of_kind, strict=True)])
    return Library(
        np.frombuffer(bytes(bank), np.uint8),
        np.array(rows, PIECE),
        np.array(firsts, np.int64),
        np.array(counts, np.int64),
        np.array(sizes, np.int64),
        of_kind,
        shares / shares.sum(),
    )


class Drawer:
    """Draws flow instances from a library: who talks to whom, when, and with which template."""

    def __init__(self, library: Library, kinds: tuple[Kind, ...], seed: int, rate: float) -> None:
        self.library, self.kinds, self.rate = library, kinds, rate
        self.rng = np.random.default_rng([seed, 99])
        self.drawn = 0
        self.by_kind = np.zeros(len(kinds), np.int64)

    def draw(self, start: int, span: int) -> NDArray[np.void]:
        """The flows that begin in [start, start + span) ns."""
        count = int(self.rng.poisson(self.rate * span / 1e9))
        flows = np.zeros(count, FLOW)
        kind = self.rng.choice(len(self.kinds), count, p=self.library.weights)
        flows["start"] = start + np.sort(self.rng.integers(0, span, count))
        flows["stretch"] = self.rng.uniform(0.6, 1.6, count)
        flows["client"] = 0x0A100000 + self.rng.integers(1, 20_000, count)
        flows["client_port"] = self.rng.integers(32_768, 61_000, count)
        flows["isn_client"] = self.rng.integers(0, 2**32, count)
        flows["isn_server"] = self.rng.integers(0, 2**32, count)
        for n, k in enumerate(self.kinds):
            mask = kind == n
            total = int(mask.sum())
            if total:
                self.by_kind[n] += total
                flows["template"][mask] = self.library.of_kind[n][self.rng.integers(0, len(self.library.of_kind[n]), total)]
                flows["server"][mask] = 0x0A000000 + (n << 16 & 0xF0000) + (n << 20) + 1 + self.rng.integers(0, k.servers, total)
                if k.name in ("scan", "syn_only"):
                    self._scanner(flows, np.flatnonzero(mask), k)
                if k.name == "ntp":
                    flows["client_port"][mask] = np.where(self.rng.random(total) < 0.5, 123, flows["client_port"][mask])
        flows["client_vtep"] = 0xAC100000 + flows["client"] % 64 + 1
        flows["server_vtep"] = 0xAC100000 + flows["server"] % 64 + 65
        self.drawn += count
        return flows

    def _scanner(self, flows: NDArray[np.void], rows: NDArray[np.int64], kind: Kind) -> None:
        """A few attackers sweep addresses and ports in order: every probe another tuple."""
        base = int(self.by_kind[list(self.kinds).index(kind)]) - len(rows)
        probe = base + np.arange(len(rows), dtype=np.int64)
        flows["client"][rows] = 0x0A1F0000 + 7 + probe % 3
        flows["server"][rows] = 0x0A400000 + 1 + probe % kind.servers
        if kind.name == "syn_only":
            flows["server_port"][rows] = 1 + probe // kind.servers % 65_535
        flows["client_port"][rows] = 40_000 + (probe * 7 + probe // kind.servers) % 20_000


def _pcap_header(nanos: bool) -> bytes:
    magic = 0xA1B23C4D if nanos else 0xA1B2C3D4
    return b"".join(v.to_bytes(n, "little") for v, n in ((magic, 4), (2, 2), (4, 2), (0, 4), (0, 4), (262_144, 4), (1, 4)))


def _pcapng_header() -> bytes:
    """Section header and one Ethernet interface with nanosecond timestamps."""
    section = (
        (0x0A0D0D0A).to_bytes(4, "little")
        + (28).to_bytes(4, "little")
        + (0x1A2B3C4D).to_bytes(4, "little")
        + b"\x01\0\0\0"
        + b"\xff" * 8
    )
    section += (28).to_bytes(4, "little")
    options = b"\x02\0\x02\0p0\0\0" + b"\x09\0\x01\0\x09\0\0\0" + bytes(4)
    length = (20 + len(options)).to_bytes(4, "little")
    return section + b"\x01\0\0\0" + length + b"\x01\0\0\0" + (262_144).to_bytes(4, "little") + options + length


@dataclass(slots=True)
class Writer:
    """Writes merged packets to ``out``, in bounded chunks, until ``limit`` bytes are there."""

    out: BinaryIO
    library: Library
    layout: int
    nanos: bool
    limit: int
    summary: Summary
    buffer: NDArray[np.uint8] = field(default_factory=lambda: np.empty(CHUNK, np.uint8))

    def write(
        self, flows: NDArray[np.void], times: NDArray[np.int64], flow_ids: NDArray[np.int64], piece_ids: NDArray[np.int64]
    ) -> bool:
        """Write packets (already in order); False once the capture has its size."""
        sizes = np.cumsum(record_bytes(self.library.pieces["length"][piece_ids], self.layout))
        keep = int(np.searchsorted(sizes, self.limit - self.summary.bytes, side="right"))
        at = 0
        while at < keep:
            done, used = stamp(
                self.buffer,
                self.library.bank,
                self.library.pieces,
                flows,
                times[at:keep],
                flow_ids[at:keep],
                piece_ids[at:keep],
                self.layout,
                self.nanos,
            )
            self.out.write(memoryview(self.buffer)[:used])
            self.summary.packets += done
            self.summary.bytes += used
            at += done
        return keep == len(times)


def _steps(drawer: Drawer) -> Iterator[tuple[NDArray[np.void], int]]:
    """Flows by time step, with the step's end."""
    start = EPOCH_NS
    while True:
        yield drawer.draw(start, STEP_NS), start + STEP_NS
        start += STEP_NS


def _mean_packets(library: Library) -> float:
    return float(sum(w * library.counts[o].mean() for w, o in zip(library.weights, library.of_kind, strict=True) if len(o)))


def generate(out: BinaryIO, size: int, *, kind: str = "mixed", seed: int = 1, form: str = "pcap") -> Summary:
    """Write a capture of at most ``size`` bytes (less by under one packet) to ``out``; returns what was written."""
    kinds = KINDS[kind]
    library = build_library(kinds, seed, size, wrapped=kind == "mixed")
    head = _pcapng_header() if form == "pcapng" else _pcap_header(form == "ns")
    out.write(head)
    summary = Summary(bytes=len(head))
    rate = FLOWS_PER_SECOND[kind]
    mean = float(sum(w * library.sizes[o].mean() for w, o in zip(library.weights, library.of_kind, strict=True) if len(o)))
    rate = min(rate, max(size / mean / 20, 1.0))  # a small capture still lasts some twenty seconds
    drawer = Drawer(library, kinds, seed, rate)
    writer = Writer(out, library, PCAPNG if form == "pcapng" else PCAP, form == "ns", size, summary)
    flows = np.zeros(0, FLOW)
    times = flow_ids = piece_ids = np.zeros(0, np.int64)
    for fresh, end in _steps(drawer):
        used, flow_ids = np.unique(flow_ids, return_inverse=True)
        flows = np.concatenate([flows[used], fresh])
        room = int(library.counts[fresh["template"]].sum())
        more = [np.empty(room, np.int64) for _ in range(3)]
        expand(fresh, library.firsts, library.counts, library.pieces, len(used), *more)
        times, flow_ids, piece_ids = (np.concatenate(pair) for pair in zip((times, flow_ids, piece_ids), more, strict=True))
        ready = np.flatnonzero(times < end)
        ready = ready[np.argsort(times[ready], kind="stable")]
        if not writer.write(flows, times[ready], flow_ids[ready], piece_ids[ready]):
            break
        rest = np.flatnonzero(times >= end)
        times, flow_ids, piece_ids = times[rest], flow_ids[rest], piece_ids[rest]
    summary.flows = drawer.drawn
    summary.by_kind = {k.name: int(n) for k, n in zip(kinds, drawer.by_kind, strict=True)}
    return summary


def main(argv: list[str] | None = None) -> int:
    """The command line; prints what was written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="200MB", type=parse_size)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--kind", default="mixed", choices=sorted(KINDS))
    parser.add_argument("--format", default="pcap", choices=["pcap", "pcapng", "ns"], dest="form")
    options = parser.parse_args(argv)
    with options.out.open("wb") as out:
        summary = generate(out, options.size, kind=options.kind, seed=options.seed, form=options.form)
    print(
        f"{options.out}: {summary.bytes} bytes, {summary.packets} packets, {summary.flows} conversations begun {summary.by_kind}",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
