"""Flows against Zeek's conn.log: tuple, direction, conn_state, history, packets, bytes, payload.

Rows are compared as a multiset by tuple; of several rows of one tuple the most alike are paired. `-` in a baseline
says nothing (Zeek writes no payload where the duration is 0). Each difference is fixed, or listed with its cause in
zeek_differences.toml. Agreement is averaged per state and per capture, so that easy rows don't drown hard ones.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.captures import folder, manifest, read

FIELDS = {
    "conn_state": "conn_state",
    "history": "history",
    "orig_pkts": "src_pkts",
    "resp_pkts": "dst_pkts",
    "orig_ip_bytes": "src_bytes",
    "resp_ip_bytes": "dst_bytes",
    "orig_bytes": "src_payload",
    "resp_bytes": "dst_payload",
}
KEY = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")


@dataclass(frozen=True, slots=True)
class Found:
    """One comparison of a field, or of a row's being there at all (field `row`)."""

    capture: str
    tuple: str
    field: str
    state: str
    theirs: str
    ours: str

    @property
    def agrees(self) -> bool:
        return self.theirs == self.ours


def baseline(log: Path) -> list[dict[str, str]]:
    """Rows of a Zeek TSV log."""
    names: list[str] = []
    rows = []
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("#fields"):
            names = line.split("\t")[1:]
        elif line and not line.startswith("#"):
            if not names:  # a log that the test cut to some columns
                names = line.split("\t")
            else:
                rows.append(dict(zip(names, line.split("\t"), strict=False)))
    return rows


def logs(row: dict[str, str]) -> list[Path]:
    """The conn.log files that belong to a capture of the manifest."""
    found = []
    for name in row["expected_files"].replace(",", " ").split():
        at = folder() / name
        log = at / "conn.log" if at.is_dir() else at
        if log.name == "conn.log" and log.exists():
            found.append(log)
    return found


def shown(value: Any) -> str:
    return "-" if value is None else str(value)


def compare(capture: str, log: Path) -> list[Found]:
    ours = read(capture).rows()
    pairs: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for r in ours:
        pairs[r["src_ip"], str(r["src_port"]), r["dst_ip"], str(r["dst_port"])].append(r)
    found = []
    for z in baseline(log):
        if z.get("proto", "tcp") not in ("tcp", "udp", "icmp"):
            continue
        if "id.orig_h" in z:
            key = tuple(z[k] for k in KEY)
            name = f"{key[0]}:{key[1]} > {key[2]}:{key[3]}"
            candidates = pairs[key]
        else:  # cut to some columns: any row may be the one
            name = "*"
            candidates = ours
        state = z.get("conn_state", "-")
        if not candidates:
            found.append(Found(capture, name, "row", state, "there", "not there"))
            continue
        best = max(candidates, key=lambda r: sum(z.get(t) == shown(r[o]) for t, o in FIELDS.items()))
        candidates.remove(best)
        found.append(Found(capture, name, "row", state, "there", "there"))
        for theirs, mine in FIELDS.items():
            said = z.get(theirs)
            if said is not None and (said != "-" or theirs == "history"):
                found.append(Found(capture, name, theirs, state, said, shown(best[mine])))
    return found


@cache
def everything() -> list[Found]:
    found = []
    for row in manifest().values():
        if row["file"].startswith("zeek/"):
            for log in logs(row):
                found += compare(row["file"], log)
    return found


def listed() -> list[dict[str, str]]:
    path = Path(__file__).with_name("zeek_differences.toml")
    return list(tomllib.loads(path.read_text())["difference"])


def matches(line: dict[str, str], f: Found) -> bool:
    return line["capture"] == f.capture and line["tuple"] in ("*", f.tuple) and line["field"] == f.field


def averages(found: list[Found]) -> dict[str, dict[str, float]]:
    """Share of agreeing comparisons: by state and by capture, each state and capture counting once."""
    out: dict[str, dict[str, float]] = {}
    for by in ("state", "capture"):
        groups: dict[str, list[bool]] = defaultdict(list)
        for f in found:
            groups[getattr(f, by)].append(f.agrees)
        out[by] = {name: sum(g) / len(g) for name, g in sorted(groups.items())}
    return out


pytestmark = [pytest.mark.conformance]


def test_every_difference_has_a_cause() -> None:
    found = everything()
    assert len({f.capture for f in found}) >= 20
    causes = listed()
    unexplained = [f for f in found if not f.agrees and not any(matches(line, f) for line in causes)]
    assert unexplained == []


def test_every_cause_has_a_difference() -> None:
    wrong = [f for f in everything() if not f.agrees]
    assert [line for line in listed() if not any(matches(line, f) for f in wrong)] == []


def test_agreement_by_state_and_by_capture(record_property: Any) -> None:
    explained = listed()
    counted = [f for f in everything() if f.agrees or not any(matches(line, f) for line in explained)]
    for by, groups in averages(counted).items():
        record_property(f"agreement by {by}", groups)
        assert min(groups.values()) == 1.0


if __name__ == "__main__":
    for by, groups in averages(everything()).items():
        print(f"by {by}: {sum(groups.values()) / len(groups):.4f} over {len(groups)}")
        for name, share in groups.items():
            print(f"  {share:.4f}  {name}")
