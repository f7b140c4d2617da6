"""`service` beside what Zeek's conn.log and nDPI say of the same flows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.conformance.captures import folder, manifest
from tests.conformance.checks import reading

Key = tuple[str, frozenset[tuple[str, str]]]
#: Zeek's and nDPI's names for what we name otherwise.
_ZEEK = {"ssl": "tls", "krb": "kerberos", "krb_tcp": "kerberos", "dce_rpc": "dcerpc"}
_NDPI = {
    "iec60870": "iec104", "ftp_control": "ftp", "avastsecuredns": "dns",
    "smbv1": "smb", "smbv23": "smb", "netbios": "nbns",
}  # fmt: skip
#: nDPI's names of programs, companies and games: no protocol that a service could be named after.
_PROGRAMS = frozenset(
    ("amongus", "discord", "dropbox", "eaq", "epicgames", "lolwildrift", "nintendo", "softether", "tencentgames", "xiaomi",
     "zoom", "i3d", "unknown")
)  # fmt: skip
#: Who carries another: DNS by whom it is spoken is more than DNS.
_KINDS = {"mdns": "dns", "llmnr": "dns", "nbns": "dns"}
_NDPI_LINE = re.compile(
    r"^\s+\d+\s+(TCP|UDP)\s+\[?([0-9a-fA-F.:]+?)\]?:(\d+)\s+(?:<->|->|<-)\s+\[?([0-9a-fA-F.:]+?)\]?:(\d+)\s.*?"
    r"\[proto:\s*[\d.]+/([^\]]+)\].*?\[Confidence: ([^\]]*)\]"
)
OUTCOMES = ("agree", "we say more", "they name a program", "they went by port or address", "we say nothing", "differ")


@dataclass
class Beside:
    """One program's names beside ours. of: outcome -> (theirs, ours) -> captures with how many flows."""

    name: str
    of: dict[str, dict[tuple[str, str], Counter[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Counter)))

    def count(self, outcome: str) -> int:
        """Flows with that outcome."""
        return sum(captures.total() for captures in self.of[outcome].values())


def _ours(capture: str) -> dict[Key, set[str]]:
    found: dict[Key, set[str]] = defaultdict(set)
    for row in reading(capture).rows():
        if row["proto"] in (6, 17):
            ends = frozenset({(row["src_ip"], str(row["src_port"])), (row["dst_ip"], str(row["dst_port"]))})
            found["tcp" if row["proto"] == 6 else "udp", ends] |= set((row["service"] or "").split(",")) - {""}
    return found


def _judge(theirs: set[str], ours: set[str]) -> str:
    if theirs == ours:
        return "agree"
    wide = {_KINDS.get(name, name) for name in ours}
    if theirs <= ours | wide:
        return "we say more"
    return "differ" if ours else "we say nothing"


def zeek() -> Beside:
    """Flows of every baseline conn.log; a flow's service is what any of a capture's baselines says, since some run bare."""
    beside = Beside("Zeek")
    for capture, row in manifest().items():
        said: dict[Key, set[str]] = defaultdict(set)
        for name in row["expected_files"].replace(",", " ").split():
            log = folder() / name / "conn.log" if (folder() / name).is_dir() else folder() / name
            if log.name == "conn.log" and log.exists():
                _read_log(log.read_text(errors="replace"), said)
        ours = _ours(capture) if said else {}
        for key, names in said.items():
            if key in ours and (names or ours[key]):
                beside.of[_judge(names, ours[key])][",".join(sorted(names)), ",".join(sorted(ours[key]))][capture] += 1
    return beside


def _read_log(text: str, said: dict[Key, set[str]]) -> None:
    columns: list[str] = []
    for line in text.splitlines():
        if line.startswith("#fields"):
            columns = line.split("\t")[1:]
        elif columns and line and not line.startswith("#"):
            row = dict(zip(columns, line.split("\t"), strict=False))
            if row.get("proto") in ("tcp", "udp"):
                ends = frozenset({(row["id.orig_h"], row["id.orig_p"]), (row["id.resp_h"], row["id.resp_p"])})
                names = [name for name in row.get("service", "-").split(",") if name != "-"]
                said[row["proto"], ends] |= {_ZEEK.get(name, name) for name in names}


def ndpi() -> Beside:
    """Flows of every .out file: the protocol below the program where it says both."""
    beside = Beside("nDPI")
    for out in sorted((folder() / "ndpi" / "expected").glob("*.out")):
        capture = f"ndpi/{out.stem}"
        ours = _ours(capture) if (folder() / capture).exists() else {}
        for found in filter(None, map(_NDPI_LINE.match, out.read_text(errors="replace").splitlines())):
            key = (found[1].lower(), frozenset({(found[2], found[3]), (found[4], found[5])}))
            if key not in ours:
                continue
            name, how = found[6], found[7]
            below = name.split(".")[0].lower()
            below = _NDPI.get(below, below)
            outcome = _judge({below}, ours[key])
            if outcome in ("differ", "we say nothing"):
                if below in _PROGRAMS:
                    outcome = "they name a program"
                elif not how.startswith("DPI"):
                    outcome = "they went by port or address"
            beside.of[outcome][name, ",".join(sorted(ours[key]))][capture] += 1
    return beside
