"""The capture filter selects the frames that tcpdump selects: every shared capture, every link type, many filters.

Frames of all captures are put into one file a link type, numbered by their time stamps, so that one run of tcpdump
answers for all of them.
"""

from __future__ import annotations

import struct
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests import needs
from tests.conformance.captures import captures, folder, read
from workbench.decode.bpf import Selector
from workbench.decode.framing import open_framer
from workbench.errors import BpfError, WorkbenchError
from workbench.records.packet import FRAME
from workbench.sources.bpf import compile_filter
from workbench.workflows.selection import Selection

pytestmark = [pytest.mark.conformance, needs.program("tcpdump")]

#: From every capture at most so many frames, so that the large ones do not crowd out the odd ones.
EACH = 400
SNAPLEN = 262_144
SAMPLES = Path(__file__).parents[2] / "sample_captures"

FILTERS = (
    "ip",
    "ip6",
    "arp",
    "rarp",
    "not ip and not ip6",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "sctp",
    "igmp",
    "esp or ah",
    "pim or vrrp",
    "ip proto 47",
    "ip proto \\gre",
    "ip6 proto 17",
    "proto \\udp",
    "ip6 protochain 6",
    "ip protochain 50",
    "protochain 58",
    "host 10.0.0.1",
    "src host 192.168.1.1",
    "dst host 192.168.1.1",
    "host 192.168.0.1 or 192.168.1.1 or 10.0.2.15",
    "host 2001:db8::1",
    "ip6 host fe80::1",
    "net 10",
    "net 192.168.0.0/16",
    "src net 172.16.0.0/12",
    "dst net 224.0.0.0 mask 240.0.0.0",
    "ip6 net fe80::/10",
    "not net 10 and not net 192.168.0.0/16",
    "port 53",
    "port domain or port http",
    "tcp port 443",
    "udp port 4789",
    "src port 80",
    "dst port 22 or dst port 23",
    "portrange 1-1023",
    "tcp dst portrange 8000-9000",
    "src host 10.0.0.1 and tcp dst port 80",
    "(tcp or udp) and not port 53 and not port 443",
    "tcp[tcpflags] & tcp-syn != 0",
    "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0 and not src and dst net 10.0.0.0/8",
    "tcp[13] == 0x12",
    "tcp[2:2] > 1023 and tcp[0:2] > 1023",
    "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
    "ip[6:2] & 0x1fff != 0",
    "ip[6] & 0x20 != 0 and ip[6:2] & 0x1fff = 0",
    "ip[0] & 0xf > 5",
    "ip[8] < 64",
    "ip[2:2] - ((ip[0] & 0x0f) << 2) > 1000",
    "ip[12:4] = ip[16:4]",
    "ip[2:2] / (ip[8] - 64) > 3",
    "ip[2:2] % ip[8] = 7",
    "ip[2:2] % ip[9] = 0 and ip[4:2] * 65537 > 0x10000000",
    "ip[ip[2:2]] = 0",
    "-ip[8] & 0xff ^ 0x55 > 100",
    "len % 2 = 1",
    "udp[8:4] | 1 = 0x08000001",
    "udp[4:2] << 3 >= 4096",
    "ip6[6] = 0 or ip6[6] = 44",
    "icmp[icmptype] = icmp-echo or icmp[icmptype] = icmp-unreach",
    "icmp6 and ip6[40] = 135",
    "greater 500",
    "less 60",
    "len > 100 and len <= 200",
    "len - 14 = ip[2:2]",
    "ether host 02:00:00:00:00:01",
    "ether src 00:00:00:00:00:00",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether broadcast",
    "ether multicast",
    "broadcast or multicast",
    "ip broadcast",
    "ip multicast",
    "ip6 multicast",
    "ether proto 0x88cc",
    "ether[0] & 1 = 1",
    "ether[12:2] > 1500",
    "stp or iso",
    "llc",
    "vlan",
    "vlan 100",
    "vlan and ip",
    "vlan and vlan",
    "vlan and vlan and tcp port 80",
    "not vlan",
    "mpls",
    "mpls and ip",
    "mpls 16 and mpls",
    "pppoes",
    "pppoed",
    "pppoes and ip",
    "geneve",
    "geneve and ip",
    "inbound",
    "wlan type mgt",
    "wlan type data subtype data",
    "wlan addr1 ff:ff:ff:ff:ff:ff",
)


@cache
def frames_by_link() -> dict[int, list[tuple[bytes, int]]]:
    """(bytes, bytes on the wire) of the first frames of every capture, by link type."""
    found: dict[int, list[tuple[bytes, int]]] = {}
    frames = np.empty(EACH, FRAME)
    paths = [folder() / name for name in captures()] + sorted(SAMPLES.glob("*.pcap*"))
    for path in paths:
        with path.open("rb") as file:
            data = np.frombuffer(file.read(4 << 20), np.uint8).copy()
        try:
            n, _ = open_framer(data[:4096].tobytes()).frame(data, 0, len(data), True, frames)
        except WorkbenchError:
            continue
        for frame in frames[:n]:
            at, cap = int(frame["off"]), int(frame["cap"])
            found.setdefault(int(frame["link"]), []).append((data[at : at + cap].tobytes(), int(frame["wire"])))
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One pcap a link type; the seconds of a frame are its place."""
    made = {}
    for link, frames in frames_by_link().items():
        parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, link)]
        parts += [struct.pack("<IIII", n, 0, len(data), wire) + data for n, (data, wire) in enumerate(frames)]
        made[link] = tmp_path_factory.mktemp("bpf") / f"{link}.pcap"
        made[link].write_bytes(b"".join(parts))
    return made


def by_tcpdump(file: Path, text: str) -> list[int] | None:
    """Places of the frames that tcpdump writes; None where it refuses the filter."""
    done = subprocess.run(["tcpdump", "-n", "-r", str(file), "-w", "-", "--", text], capture_output=True, check=False, timeout=60)
    if done.returncode:
        return None
    at, places = 24, []
    while at < len(done.stdout):
        second, _, cap, _ = struct.unpack_from("<IIII", done.stdout, at)
        places.append(second)
        at += 16 + cap
    return places


def by_us(file: Path, link: int, text: str) -> list[int] | None:
    try:
        program = compile_filter(text, link)
    except BpfError:
        return None
    selector = Selector()
    selector.add(link, program)
    data = np.frombuffer(file.read_bytes(), np.uint8)
    framer = open_framer(data[:4096].tobytes())
    frames = np.empty(1_000_000, FRAME)
    n, at = framer.frame(data, 0, len(data), True, frames)
    assert at == len(data)
    return [int(i) for i in selector.chosen(data, frames, n)]


@pytest.mark.parametrize("text", FILTERS)
def test_the_frames_are_those_of_tcpdump(text: str, files: dict[int, Path]) -> None:
    judged = 0
    for link, file in files.items():
        theirs, ours = by_tcpdump(file, text), by_us(file, link, text)
        if theirs is None:  # it refuses a file that nothing of can pass, too
            assert not ours, f"link type {link}"
        else:
            assert ours == theirs, f"link type {link}"
        judged += theirs is not None
    assert judged


def test_there_is_something_to_select() -> None:
    found = frames_by_link()
    assert len(found) >= 5
    assert sum(map(len, found.values())) > 10_000


@pytest.mark.parametrize("text", ["tcp port 80 or arp", "not vlan and less 200"])
def test_every_frame_is_a_packet_or_left_out(text: str) -> None:
    """packets = in flows + arp + undecoded, of what passed; packets + left out = frames, of everything."""
    passed = left_out = 0
    for name in captures():
        whole, part = read(name), read(name, selection=Selection(text))
        assert part.packets == part.in_flows + part.arp + part.undecoded, name
        out = sum(line.count for line in part.ledger if line.reason in ("not_selected", "not_selectable"))
        assert part.packets + out == whole.packets, name
        assert part.error is None or whole.error is not None, name
        passed, left_out = passed + part.packets, left_out + out
    assert min(passed, left_out) > 1000
