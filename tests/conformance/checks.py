"""What is compared with what, one function a comparison; tests assert them, docs/conformance.md shows them."""

from __future__ import annotations

import ast
import csv
import ipaddress
import json
import struct
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance import oracle
from tests.conformance.captures import Reading, captures, folder, manifest, read
from tests.conformance.oracle import Pair, Tuple


@dataclass(slots=True)
class Check:
    """One comparison. differences: (capture, what differs); a capture may differ more than once."""

    name: str
    against: str
    total: int = 0
    differences: list[tuple[str, str]] = field(default_factory=list)

    @property
    def agree(self) -> int:
        """How many of `total` agree."""
        return self.total - len(self.differences)

    def compare(self, capture: str, ours: object, theirs: object, what: str = "") -> None:
        """Count one comparison."""
        self.total += 1
        if ours != theirs:
            self.differences.append((capture, f"{what}ours {ours}, theirs {theirs}"))


@cache
def reading(name: str) -> Reading:
    """A capture as this program reads it, once a session."""
    return read(name)


def totals() -> Check:
    """Packets and bytes on the wire of every capture."""
    check = Check("totals", f"capinfos {oracle.version()}: packets and bytes on the wire")
    for name in captures():
        ours = reading(name)
        theirs = oracle.totals(folder() / name)
        check.compare(name, (ours.packets, ours.wire) if ours.error is None else None, theirs)
    return check


def sums() -> Check:
    """Every packet is somewhere: in a flow, in arp, or in an undecoded line of the ledger."""
    check = Check("sums", "itself: packets = packets in flows + arp + undecoded, and the rows add up to that")
    for name in captures():
        ours = reading(name)
        rows = sum(row["src_pkts"] + row["dst_pkts"] for row in ours.rows())
        check.compare(
            name,
            (rows, len(ours.rows("arp")), ours.in_flows + ours.arp + ours.undecoded),
            (ours.in_flows, ours.arp, ours.packets),
        )
    return check


def pairs() -> Check:
    """Packets and IP bytes between every two addresses, by direction and protocol, and every 5-tuple."""
    check = Check(
        "pairs",
        f"tshark {oracle.version()}: packets and IP bytes by direction and protocol, and 5-tuples, of the innermost IP header",
    )
    for name in captures():
        theirs = oracle.spoken(folder() / name)
        ours = _spoken(reading(name))
        wrong = [
            f"{pair.src} > {pair.dst} protocol {pair.proto}: ours {ours.packets[pair]} packets {ours.octets[pair]} bytes,"
            f" theirs {theirs.packets[pair]} packets {theirs.octets[pair]} bytes"
            for pair in sorted(set(ours.packets) | set(theirs.packets))
            if (ours.packets[pair], ours.octets[pair]) != (theirs.packets[pair], theirs.octets[pair])
        ]
        if ours.tuples != theirs.tuples and not wrong:
            wrong.append(
                f"{len(ours.tuples - theirs.tuples)} tuples of ours only, {len(theirs.tuples - ours.tuples)} of theirs only"
            )
        check.total += 1
        if wrong:
            check.differences.append((name, "; ".join(wrong[:4])))
    return check


def _spoken(ours: Reading) -> oracle.Spoken:
    found = oracle.Spoken()
    for row in ours.rows():
        for src, dst, side in (("src", "dst", "src"), ("dst", "src", "dst")):
            pair = Pair(row["proto"], row[f"{src}_ip"], row[f"{dst}_ip"])
            if row[f"{side}_pkts"]:
                found.packets[pair] += row[f"{side}_pkts"]
                found.octets[pair] += row[f"{side}_bytes"]
        if row["proto"] in (6, 17, 132) and row["src_port"] is not None:
            found.tuples.add(Tuple(row["proto"], frozenset({(row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"])})))
    return found


def flow_counts() -> Check:
    """Distinct TCP and UDP 5-tuples."""
    check = Check("flow counts", "nDPI's published flow counts, and tshark's where it agrees (AGREEMENT.tsv)")
    with (folder() / "AGREEMENT.tsv").open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["oracle"] == "ndpi":
                number = {"tcp": 6, "udp": 17}[row["proto"]]
                tuples = {t for t in _spoken(reading(row["file"])).tuples if t.proto == number}
                check.compare(row["file"], len(tuples), int(row["published"]), f"{row['proto']}: ")
    return check


def spec_ids() -> Check:
    """Community ids of the specification's own captures and of the reference implementation's tests."""
    check = Check("community ids of the specification", "community-id-spec's baselines and pycommunityid's tests, seed 0")
    for name in sorted(n for n in manifest() if n.startswith("communityid/")):
        file = folder() / "communityid" / "expected" / (Path(name).stem + ".json")
        if file.exists():
            theirs = {(row["proto"], row["communityid"]) for row in json.loads(file.read_text())["deflt"]}
            ours = {(row["proto"], row["community_id"]) for row in reading(name).rows()}
            for one in sorted(theirs | ours):
                check.compare(name, one in ours, one in theirs, f"{one[1]} ")
    for proto, src, dst, sport, dport, theirs_id in _reference_tests():
        check.compare(
            "communityid/expected/py-tests.txt",
            _id_of(proto, src, dst, sport, dport),
            theirs_id,
            f"{src} {dst} {sport} {dport}: ",
        )
    return check


def _reference_tests() -> Iterator[tuple[int, str, str, int, int, str]]:
    """The tuples in the reference implementation's test file, read as syntax and never run."""
    protocols = {"test_icmp": 1, "test_icmp6": 58, "test_sctp": 132, "test_tcp": 6, "test_udp": 17, "test_ip": 46}
    tree = ast.parse((folder() / "communityid" / "expected" / "py-tests.txt").read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in protocols):
        for row in (node for node in ast.walk(function) if isinstance(node, ast.List)):
            try:
                values = ast.literal_eval(row)
            except ValueError:
                continue
            if values and isinstance(values[0], str):
                ports = values[2:4] if len(values) == 7 else (0, 0)
                yield protocols[function.name], values[0], values[1], ports[0], ports[1], values[-3]


def _id_of(proto: int, src: str, dst: str, sport: int, dport: int) -> str | None:
    """The community id this program gives one packet of that tuple (ICMP: type and code)."""
    if proto in (1, 58):
        inner = struct.pack(">BBHI", sport, dport, 0, 0)
    elif proto == 6:
        inner = struct.pack(">HHIIBBHHH", sport, dport, 1, 0, 0x50, 2, 100, 0, 0)
    elif proto == 17:
        inner = struct.pack(">HHHH", sport, dport, 8, 0)
    elif proto == 132:
        inner = struct.pack(">HHII", sport, dport, 0, 0) + struct.pack(">BBHIIHHI", 1, 0, 20, 1, 1, 1, 1, 1)
    else:
        inner = bytes(8)
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(inner), 0, 0, 64, proto, 0) + a.packed + b.packed
        total = sum(struct.unpack(">10H", head))
        total = (total & 0xFFFF) + (total >> 16)
        head = head[:10] + struct.pack(">H", 0xFFFF - total) + head[12:]
    else:
        head = struct.pack(">IHBB", 0x60000000, len(inner), proto, 64) + a.packed + b.packed
    packet = head + inner
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(
            struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
            + struct.pack("<IIII", 1, 0, len(packet), len(packet))
            + packet
        )
        file.flush()
        rows = read(Path(file.name)).rows()
    return rows[0]["community_id"] if len(rows) == 1 else None


def _arkime_sessions(name: str) -> list[dict[str, Any]]:
    for expected in manifest()[name]["expected_files"].split():
        if expected.endswith(".json"):
            sessions = json.loads((folder() / expected).read_text()).get("sessions3", [])
            return [session.get("body", {}) for session in sessions]
    return []


def arkime_ids() -> Check:
    """Community ids of Arkime's sessions."""
    check = Check("community ids of Arkime", "Arkime's sessions of TCP, UDP and SCTP")
    for name in (n for n in manifest() if n.startswith("arkime/")):
        ours = {row["community_id"] for row in reading(name).rows()}
        theirs = {
            body["network"]["community_id"]
            for body in _arkime_sessions(name)
            if body.get("ipProtocol") in (6, 17, 132) and body.get("network", {}).get("community_id")
        }
        for one in sorted(theirs):
            check.compare(name, one in ours, True, f"{one}: ")
    return check


def arkime_packets() -> Check:
    """Packets by conversation, summed over the sessions of one community id."""
    check = Check("packets of Arkime's sessions", "Arkime's packet counts by community id, TCP, UDP and SCTP")
    for name in (n for n in manifest() if n.startswith("arkime/")):
        theirs: Counter[str] = Counter()
        for body in _arkime_sessions(name):
            identity = body.get("network", {}).get("community_id")
            if body.get("ipProtocol") in (6, 17, 132) and identity:
                theirs[identity] += body.get("network", {}).get("packets", 0)
        ours: Counter[str] = Counter()
        for row in reading(name).rows():
            ours[row["community_id"]] += row["src_pkts"] + row["dst_pkts"]
        for identity, packets in sorted(theirs.items()):
            check.compare(name, ours[identity], packets, f"{identity}: ")
    return check


def ipfixprobe() -> Check:
    """Packets and IP bytes by direction of every 5-tuple."""
    check = Check("biflows of ipfixprobe", "ipfixprobe's records, summed by 5-tuple and direction: packets and IP bytes")
    for name in (n for n in manifest() if n.startswith("ipfixprobe/")):
        theirs: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
        for row in _ipfixprobe_rows(name):
            a, b = (row["SRC_IP"], int(row["SRC_PORT"])), (row["DST_IP"], int(row["DST_PORT"]))
            for key, suffix in (((int(row["PROTOCOL"]), a, b), ""), ((int(row["PROTOCOL"]), b, a), "_REV")):
                theirs[key][0] += int(row["PACKETS" + suffix])
                theirs[key][1] += int(row["BYTES" + suffix])
        ours: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
        for row in reading(name).rows():
            a, b = (row["src_ip"], _port(row, "src")), (row["dst_ip"], _port(row, "dst"))
            for key, side in (((row["proto"], a, b), "src"), ((row["proto"], b, a), "dst")):
                ours[key][0] += row[f"{side}_pkts"]
                ours[key][1] += row[f"{side}_bytes"]
        for (proto, a, b), counted in sorted(theirs.items(), key=repr):  # flows its plugin did not know are not in its file
            check.compare(
                name,
                ours[(proto, a, b)],
                counted,
                f"protocol {proto}, {a[0]} port {a[1]} > {b[0]} port {b[1]}, packets and bytes: ",
            )
    return check


def _port(row: dict[str, Any], side: str) -> int:
    return row[f"{side}_port"] if row["proto"] in (6, 17, 132) else 0


def _ipfixprobe_rows(name: str) -> Iterator[dict[str, str]]:
    """The first expected file that has packets both ways; the lines are sorted, so its heading is anywhere."""
    for expected in manifest()[name]["expected_files"].split():
        lines = list(csv.reader((folder() / expected).read_text().splitlines()))
        heading = next((line for line in lines if line and line[0].startswith("ipaddr ")), None)
        if heading is not None:
            fields = [part.split()[-1] for part in heading]
            yield from (dict(zip(fields, line, strict=False)) for line in lines if line is not heading and line)
            return


def twins() -> Check:
    """Big and little endian twins of pcapng read the same."""
    check = Check("pcapng twins", "the same capture in the other byte order")
    for name in (n for n in captures() if n.startswith("pcapng/be/")):
        other = name.replace("pcapng/be/", "pcapng/le/")
        check.compare(name, _essence(reading(name)), _essence(reading(other)))
    return check


def pieces() -> Check:
    """Reading in small blocks gives what reading at once gives, whatever order flows end in."""
    check = Check("pieces", "itself: blocks of 1 KiB against blocks of 4 MiB")
    for name in captures():
        small, large = _essence(read(name, block=1024)), _essence(reading(name))
        check.total += 1
        if small != large:
            check.differences.append(
                (name, next(_unlike(key, small[key], large[key]) for key in small if small[key] != large[key]))
            )
    return check


def _unlike(what: str, small: Any, large: Any) -> str:
    """The first thing that differs, short."""
    if isinstance(small, list) and isinstance(large, list) and len(small) == len(large):
        small, large = next((a, b) for a, b in zip(small, large, strict=True) if a != b)
    if isinstance(small, dict) and isinstance(large, dict):
        fields = [key for key in small if small[key] != large[key]]
        return f"{what}: " + ", ".join(f"{key} {small[key]} and {large[key]}" for key in fields)
    return f"{what}: {small} and {large}"


def _essence(one: Reading) -> dict[str, Any]:
    return {
        "packets": one.packets,
        "wire": one.wire,
        "accounted": (one.in_flows, one.arp),
        "error": one.error and one.error.message,
        "ledger": sorted((line.reason, line.count, line.first_frames) for line in one.ledger),
        "flows": sorted(one.rows(), key=lambda row: row["flow_id"]),
        "arp": sorted(one.rows("arp"), key=lambda row: row["record_offset"]),
        "slices": sorted(one.rows("flow_slices"), key=lambda row: (row["flow_id"], row["ts"])),
        "tunnels": sorted(one.rows("tunnels"), key=repr),
    }


CHECKS: tuple[Callable[[], Check], ...] = (
    totals,
    sums,
    pairs,
    flow_counts,
    spec_ids,
    arkime_ids,
    arkime_packets,
    ipfixprobe,
    twins,
    pieces,
)
