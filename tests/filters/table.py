"""The table of docs/filters.md, a case to try it on, and which packets of it Wireshark selects."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.store.reader import CaseReader
from workbench.workflows.captured import find_capture
from workbench.workflows.frames import Search
from workbench.workflows.show import case_filter
from workbench.workflows.wanted import wanted_flows

#: Samples that show one traffic several times over: one of them is enough, in one capture they would be the same flows.
TWICE = ("mirror-plain", "mirror-gre", "mirror-erspan2")

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "filters.md"

_CELL = re.compile(r"(?<!\\)\|")

#: Errors and samples that quote a packet: Wireshark sees its fields, too, and the flow is another.
QUOTING = "icmp.type in {3, 4, 5, 11, 12} || icmpv6.type in {1, 2, 3, 4} || sflow"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. wireshark: what Wireshark is asked, None where it has no such field."""

    filter: str
    sql: str
    wireshark: str | None
    originator: bool


def rows() -> list[Row]:
    """The table, from the document itself."""
    lines = DOCUMENT.read_text().split("## The table", 1)[1].splitlines()
    made = []
    for line in lines:
        if not line.startswith("| `"):
            continue
        asked, _, sql, wireshark = (cell.strip().replace(r"\|", "|") for cell in _CELL.split(line)[1:5])
        text = asked.strip("`")
        said = wireshark.removesuffix(", originator")
        assert said in ("same", "-") or (said.startswith("`") and said.endswith("`")), line
        other = {"same": text, "-": None}.get(said, said.strip("`"))
        made.append(Row(text, sql.strip("`"), other, wireshark.endswith(", originator")))
    return made


@dataclass(slots=True)
class Tried:
    """A capture that is indexed, and where each of its frames belongs: frame -> (flow, sent by the originator)."""

    capture: Path
    reader: CaseReader
    frames: dict[int, tuple[int, bool]] = field(default_factory=dict)
    quoting: frozenset[int] = frozenset()
    samples: frozenset[int] = frozenset()

    def by_filter(self, text: str) -> set[int]:
        made = case_filter(self.reader, text)
        return self._ids(made.sql, made.params)

    def by_sql(self, condition: str) -> set[int]:
        return self._ids(condition, ())

    def everything(self) -> set[int]:
        return self._ids("true", ())

    def by_wireshark(self, row: Row) -> tuple[set[int], set[int]]:
        """Flows that hold a selected packet, and flows that could: what quotes others is left out, except for ICMP rows."""
        assert row.wireshark is not None
        left_out = self.samples if "icmp" in row.filter else self.quoting
        seen = {n: at for n, at in self.frames.items() if n not in left_out and (at[1] or not row.originator)}
        chosen = {seen[n][0] for n in select(self.capture, row.wireshark) if n in seen}
        return chosen, {flow for flow, _ in seen.values()}

    def _ids(self, condition: str, params: Sequence[object]) -> set[int]:
        found = self.reader.query(f"SELECT flow_id FROM flows WHERE {condition}", params)
        return set(found["flow_id"].to_pylist())


def samples() -> list[Path]:
    """The sample captures, each traffic once."""
    return [path for path in sorted((ROOT / "sample_captures").glob("*.pcapng")) if path.stem not in TWICE]


def tried(capture: Path, case: Path) -> Tried:
    """Index a capture as a person would, and find the frames of its flows."""
    from workbench.cli.app import run

    assert run(["index", str(capture), "--case", str(case), "--hash", "off"]) == 0
    made = Tried(capture, CaseReader(case))
    (wanted,) = wanted_flows(made.reader, (), None)
    search = Search(wanted, find_capture(made.reader, wanted.source_id, wanted.first, wanted.last), "both")
    for hits in search.hits():
        assert search.matcher is not None
        for place, hit in zip(hits.chosen.tolist(), hits.found.tolist(), strict=True):
            flow = int(wanted.flow_ids[search.matcher.order[hit >> 1]])
            made.frames[hits.chunk.number + place] = (flow, not hit & 1)
    search.close()
    made.quoting = frozenset(select(capture, QUOTING))
    made.samples = frozenset(select(capture, "sflow"))
    return made


def select(capture: Path, text: str) -> Iterator[int]:
    """Numbers of the frames that Wireshark selects."""
    words = ["tshark", "-n", "-o", "tcp.desegment_tcp_streams:FALSE", "-r", str(capture), "-Y", text]
    words += ["-T", "fields", "-e", "frame.number"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return (int(line) for line in done.stdout.split())
