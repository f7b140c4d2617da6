"""A row of `flows` in the words of tshark: what its packets are, by tuple and time and nothing else."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

from tests.capture_files import packets_of
from workbench.store.reader import CaseReader
from workbench.workflows.carve import CarveRequest, carve_from

#: What the filters below need of a row.
COLUMNS = "flow_id, ts, ts_end, src_ip, dst_ip, src_port, dst_port, proto, vlan, inner_vlan, tunnel, vni"
_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
_ECHO = {1: {0, 8, 9, 10, 13, 14, 15, 16, 17, 18}, 58: {128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145}}
_NETWORK_IDS = {"vxlan": "vxlan.vni", "vxlan-gpe": "vxlan.vni", "geneve": "geneve.vni"}
_EPOCH = dt.datetime(1970, 1, 1)


def filter_of(row: dict[str, Any]) -> str:
    """The display filter for one flow; fragments without ports are not in it."""
    family = "ipv6" if ":" in row["src_ip"] else "ip"
    terms = [f"{family}.addr == {row['src_ip']}", f"{family}.addr == {row['dst_ip']}"]
    first, last = (round((row[n] - _EPOCH) / dt.timedelta(microseconds=1)) for n in ("ts", "ts_end"))
    terms += [f"frame.time_epoch >= {first // 10**6}.{first % 10**6:06}"]
    terms += [f"frame.time_epoch < {(last + 1) // 10**6}.{(last + 1) % 10**6:06}"]
    proto, src, dst = row["proto"], row["src_port"], row["dst_port"]
    if proto in _PORTS:
        word = _PORTS[proto]
        ways = [f"({word}.srcport == {a} && {word}.dstport == {b})" for a, b in ((src, dst), (dst, src))]
        terms += [f"({' || '.join(ways)})", "!icmp && !icmpv6"]  # which quote what they complain of
    elif proto in _ECHO and src is not None:
        word = "icmp" if proto == 1 else "icmpv6"
        if src in _ECHO[proto]:
            ways = [f"({family}.src == {row[f'{a}_ip']} && {word}.type == {row[f'{a}_port']})" for a in ("src", "dst")]
            terms.append(f"({' || '.join(ways)})")
        else:
            terms.append(f"({word}.type == {src} && {word}.code == {dst} && {family}.src == {row['src_ip']})")
    else:
        terms.append(f"{'ipv6.nxt' if family == 'ipv6' else 'ip.proto'} == {proto}")
    terms += [f"vlan.id == {row[name]}" for name in ("vlan", "inner_vlan") if row[name]]
    if row["vlan"] is None and not row["tunnel"]:
        terms.append("!vlan")
    if row["vni"] is not None:
        words = [word for word in row["tunnel"].split("/") if word in _NETWORK_IDS]
        terms.append(f"{_NETWORK_IDS[words[0]]} == {row['vni']}")
    return " && ".join(terms)


#: Later fragments have no ports or types: tshark cannot name them by their flow, so they stay out on both sides.
_NAMED = "!(ip.frag_offset > 0) && !(ipv6.fraghdr.offset > 0)"


def selected(capture: Path, display_filter: str, out: Path) -> bytes:
    """What tshark writes as pcapng of the packets that match, later fragments left out. Each packet is judged alone."""
    settings = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    chosen = f"({display_filter}) && {_NAMED}" if display_filter else _NAMED
    words = ["tshark", "-n", "-r", str(capture), *settings, "-Y", chosen, "-F", "pcapng", "-w", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 or "cut short" in done.stderr, done.stderr
    return out.read_bytes()


def same_packets(case: CaseReader, row: dict[str, Any], work: Path) -> None:
    """Assert that what is carved of a flow is what tshark selects from its capture."""
    carved = work / "carved.pcapng"
    assert carve_from(case, CarveRequest(Path(), flow_ids=(row["flow_id"],)), carved).notes == ()
    got, want = selected(carved, "", work / "got.pcapng"), selected(Path(row["path"]), filter_of(row), work / "want.pcapng")
    assert packets_of(got) == packets_of(want), (row["path"], filter_of(row))
