"""What tshark says of a protocol's fields, packet by packet, and how far this program says the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.oracle import version

_KEPT = Path(__file__).parents[2] / ".pytest_cache" / "conformance"
_BETWEEN = "\x1f"  # between several values of one field

Shown = dict[str, list[str]]


#: Where a port makes tshark take one protocol for another; and queries in fragments, which begin with the first one.
_OPTIONS = {
    "dnscrypt-v1-and-resolver-pings.pcap": ("-o", "ip.defragment:FALSE"),
    "dcerpc_synthetic.pcap": ("-d", "tcp.port==445,dcerpc"),
    "zeek-image-post-1080-8000-x.pcap": ("-d", "tcp.port==1080,http"),
}


def asked(path: Path, shown: str, names: Sequence[str], *preferences: str, twice: bool = False) -> list[Shown]:
    """The packets that a display filter selects: values of each field, in order; numbers as tshark writes them.

    twice: read the capture two times, which finds what one pass has to guess at.

    Answers are kept beside pytest's own cache, by version, content and question, since tshark needs a second for each.
    """
    options = (*_OPTIONS.get(path.name, ()), *(("-2",) if twice else ()))
    told = (version(), shown, names, preferences, *([options] if options else []))
    question = hashlib.sha256(repr(told).encode() + path.read_bytes()).hexdigest()
    kept = _KEPT / f"fields-{question[:32]}"
    if not kept.exists():
        command = [
            "tshark",
            "-n",
            *options,
            "-r",
            str(path),
            "-Y",
            shown,
            "-T",
            "fields",
            "-E",
            "separator=/t",
            "-E",
            "occurrence=a",
        ]
        command += ["-E", f"aggregator={_BETWEEN}", *(part for name in preferences for part in ("-o", name))]
        command += [part for name in names for part in ("-e", name)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        _KEPT.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        made.write_text(done.stdout)
        made.replace(kept)
    return [
        {name: value.split(_BETWEEN) if value else [] for name, value in zip(names, line.split("\t"), strict=False)}
        for line in kept.read_text().splitlines()
    ]


@dataclass
class Agreement:
    """Fields compared by name, and where both differ. extra: values of ours where tshark shows none."""

    compared: Counter[str] = field(default_factory=Counter)
    differ: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    most_examples: int = 40
    extra: int = 0

    def same(self, where: str, name: str, ours: object, theirs: object) -> None:
        """Compare one value."""
        self.compared[name] += 1
        if ours != theirs:
            self.differ[name] += 1
            self.extra += theirs is None
            if len(self.examples) < self.most_examples:
                self.examples.append(f"{where}: {name}: ours {ours!r}, tshark's {theirs!r}")

    @property
    def share(self) -> float:
        """Part of the values that agree."""
        return 1 - self.differ.total() / self.compared.total() if self.compared else 0.0

    def demand(self, least: float = 0.99) -> None:
        """Fail below that share, with what differs."""
        said = "\n".join(self.examples)
        assert self.compared.total() > 0, "nothing was compared"
        assert self.share >= least, f"{self.share:.2%} of {self.compared.total()}: {dict(self.differ)}\n{said}"
