"""The dns table against what tshark shows of every message.

Where a query was sent again, tshark counts the time from the last one and we from the oldest that has no answer: either is
right. Its angle brackets for what no letter is in NetBIOS names remain.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.conformance.captures import folder, read
from tests.conformance.fields import Agreement, Shown, asked
from tests.decode.application.dns_wire import address, answer
from workbench.decode.application.dns_names import CLASSES, NBNS_OPCODES, NBNS_RCODES, NBNS_TYPES, OPCODES, RCODES, TYPES

CHOSEN = (
    "arkime/dns-flags0110.pcap",
    "arkime/dns-notify.pcap",
    "arkime/dns-punycode.pcap",
    "arkime/v6-http.pcap",
    "arkime/v6.pcap",
    "attack/slips/test-cc-capture-2.pcap",
    "ipfixprobe/netbios.pcap",
    "ja4/sshv1.pcap",
    "ndpi/avast_securedns.pcapng",
    "ndpi/netbios_wildcard_dns_query.pcap",
    "ndpi/nintendo.pcap",
    "ndpi/zoom_p2p.pcapng",
    "suricata/dns/dns-forward-pointer/input.pcap",
    "suricata/dns/dns-udp-eve-txt/input.pcap",
    "suricata/smb2-07/20171220_smb_psexec_add_user.pcap",
    "suricata/tls/tls13-draft18/tls13_draft18.pcap",
    "tcpdump/dnssec.pcap",
    "zeek/traces/dns-spf.pcap",
    "zeek/traces/dnssec/rrsig.pcap",
    "zeek/traces/ncp.pcap",
    "zeek/traces/tunnels/gtp/gtp7_ipv6.pcap",
)
#: What is asked of tshark; it has a dissector of its own for the name service of NetBIOS.
FIELDS = (
    "frame.number", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport", "dns.id", "dns.flags.response",
    "dns.flags.opcode", "dns.flags.rcode", "dns.flags.authoritative", "dns.flags.truncated", "dns.flags.recdesired",
    "dns.flags.recavail", "dns.flags.authenticated", "dns.flags.checkdisable", "dns.count.answers", "dns.qry.name",
    "dns.qry.type", "dns.qry.class", "dns.resp.type", "dns.resp.ttl", "dns.a", "dns.aaaa", "dns.cname", "dns.ns",
    "dns.ptr.domain_name", "dns.mx.mail_exchange", "dns.srv.target", "dns.soa.mname", "dns.time", "nbns.id",
    "nbns.flags.response", "nbns.flags.opcode", "nbns.flags.rcode", "nbns.name", "nbns.type", "nbns.class",
    "frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
)  # fmt: skip
SHOWN = "(dns || nbns) && !icmp && !icmpv6 && !_ws.malformed"
_FLAGS = ("authoritative", "truncated", "recdesired", "recavail", "authenticated", "checkdisable")
_OURS = ("aa", "tc", "rd", "ra", "ad", "cd")
#: Records that we show as an address or a name, and tshark's field for it.
_SHOWN = {1: "dns.a", 28: "dns.aaaa", 5: "dns.cname", 2: "dns.ns", 12: "dns.ptr.domain_name", 15: "dns.mx.mail_exchange",
          33: "dns.srv.target", 6: "dns.soa.mname"}  # fmt: skip


def _number(text: str) -> int:
    return int(text, 0)


def _plain(name: str) -> str:
    """Our name without its escapes, as tshark has names."""
    raw = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1])), name)
    return re.sub(r"\\(.)", r"\1", raw).encode("latin-1").decode("utf-8", "replace")


def _theirs(name: str) -> str:
    return "." if name in ("<Root>", "") else name.lower().rstrip(".")


def _answers(shown: Shown) -> list[str]:
    """What tshark shows of the answer section's records, where we show them."""
    values = {kind: iter(shown[name]) for kind, name in _SHOWN.items()}
    kinds = [_number(kind) for kind in shown["dns.resp.type"][: int(shown["dns.count.answers"][0])]]
    return [_theirs(next(values[kind], "")) if kind in _SHOWN else TYPES.get(kind, f"TYPE{kind}") for kind in kinds]


def _ours(row: dict[str, Any]) -> list[str]:
    """Our answers, of those that are no address or name the type, of others what follows their numbers."""
    words = [answer.split(" ") for answer in (row["answers"] or "").split(",") if answer]
    return [_plain(word[0] if word[0].isupper() and len(word) == 2 and not word[0].isdigit() else word[-1]) for word in words]


def _asked_at(message: Shown, response: bool) -> tuple[str, ...]:
    """The same for a query and its answer."""
    ends = [
        ",".join(message[f"ip.{end}"] + message[f"ipv6.{end}"] + message[f"udp.{end}port"] + message[f"tcp.{end}port"])
        for end in ("src", "dst")
    ]
    return (*(ends[::-1] if response else ends), *message["dns.id"], *message["dns.qry.name"][:1])


def _waited(message: Shown, pending: dict[tuple[str, ...], list[int]], response: bool) -> set[int]:
    """How long an answer was waited for, in us: tshark counts from the last query, we from the oldest without an answer."""
    key, now = _asked_at(message, response), round(float(message["frame.time_epoch"][0]) * 1e6)
    if not response:
        pending[key].append(now)
        return set()
    waited = {round(float(told) * 1e6) for told in message["dns.time"]}
    return waited | ({now - pending[key].pop(0)} if pending[key] else set())


def _dns(where: str, row: dict[str, Any], shown: Shown, waited: set[int], agreed: Agreement) -> None:
    response = shown["dns.flags.response"][0] in ("1", "True")
    if shown["dns.qry.name"]:
        agreed.same(where, "query", _plain(row["query"] or ""), _theirs(shown["dns.qry.name"][0]))
        kind = _number(shown["dns.qry.type"][0])
        agreed.same(where, "qtype", row["qtype"], TYPES.get(kind, f"TYPE{kind}"))
        if shown["dns.qry.class"]:
            agreed.same(where, "qclass", row["qclass"], CLASSES.get(_number(shown["dns.qry.class"][0])))
    agreed.same(where, "opcode", row["opcode"], OPCODES.get(int(shown["dns.flags.opcode"][0])))
    if response:
        agreed.same(where, "rcode", row["rcode"], RCODES.get(int(shown["dns.flags.rcode"][0])))
        agreed.same(where, "answers", _ours(row), _answers(shown))
        count = int(shown["dns.count.answers"][0])
        agreed.same(where, "ttls", (row["ttls"] or "").split(",") if row["ttls"] else [], shown["dns.resp.ttl"][:count])
        if shown["dns.time"]:
            agreed.same(where, "rtt_us", row["rtt_us"] in waited, True)
    if response or row["rcode"] is None:
        flags = [ours for ours, name in zip(_OURS, _FLAGS, strict=True) if shown[f"dns.flags.{name}"] in (["1"], ["True"])]
        agreed.same(where, "flags", row["flags"], ",".join(flags))


def _nbns(where: str, row: dict[str, Any], shown: Shown, agreed: Agreement) -> None:
    kind = _number(shown["nbns.type"][0])
    agreed.same(where, "qtype", row["qtype"], NBNS_TYPES.get(kind, TYPES.get(kind)))
    agreed.same(where, "qclass", row["qclass"], CLASSES.get(_number(shown["nbns.class"][0])))
    agreed.same(where, "opcode", row["opcode"], NBNS_OPCODES.get(int(shown["nbns.flags.opcode"][0])))
    name = re.sub(r"(<00>)+ \(", "<00> (", shown["nbns.name"][0]).split(" (")[0]
    agreed.same(where, "query", _plain(row["query"] or ""), name.lower())
    if row["rcode"] is not None:
        agreed.same(where, "rcode", row["rcode"], NBNS_RCODES.get(int(shown["nbns.flags.rcode"][0])))


def compare(capture: str, rows: Iterable[dict[str, Any]], shown: list[Shown], agreed: Agreement) -> None:
    """Message by message: the n-th with an id, kind and side is our n-th with them."""
    mine: dict[tuple[int, str, bool], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["ts"]):
        if row["query_bytes"] is not None:
            mine[row["trans_id"], row["kind"], False].append(row)
        if row["rcode"] is not None:
            mine[row["trans_id"], row["kind"], True].append(row)
    pending: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for message in shown:
        where = f"{capture} #{message['frame.number'][0]}"
        nbns = bool(message["nbns.id"])
        ids = message["nbns.id"] or message["dns.id"]
        if len(ids) != 1:
            continue  # several in one packet: tshark's lists do not say whose a value is
        response = message["nbns.flags.response" if nbns else "dns.flags.response"][0] in ("1", "True")
        ports = {*message["udp.srcport"], *message["udp.dstport"], *message["tcp.srcport"], *message["tcp.dstport"]}
        kind = (
            "nbns" if nbns else "dns" if "53" in ports else "mdns" if "5353" in ports else "llmnr" if "5355" in ports else "dns"
        )
        waiting = mine[_number(ids[0]), kind, response]
        agreed.same(where, "message", bool(waiting), True)
        if waiting:
            if nbns:
                _nbns(where, waiting.pop(0), message, agreed)
            else:
                _dns(where, waiting.pop(0), message, _waited(message, pending, response), agreed)


@needs.program("tshark")
@pytest.mark.conformance
def test_fields_agree_with_tshark() -> None:
    agreed = Agreement()
    for capture in CHOSEN:
        path = folder() / capture
        if path.exists():
            shown = asked(path, SHOWN, FIELDS)
            compare(capture, read(capture).rows("dns"), shown, agreed)
    agreed.demand()


def first_fragment(frame: bytes, size: int) -> bytes:
    """The frame's IPv4 packet up to `size` bytes behind its header, with more to come."""
    head = bytearray(frame[14:34])
    head[2:4], head[6:8], head[10:12] = struct.pack(">H", 20 + size), b"\x20\0", b"\0\0"
    total = sum(struct.unpack(">10H", head))
    head[10:12] = struct.pack(">H", 0xFFFF - (total % 0xFFFF))
    return frame[:14] + bytes(head) + frame[34 : 34 + size]


def test_a_first_fragment_is_a_message_that_was_cut(tmp_path: Path) -> None:
    whole = answer("a.example", [address(f"192.0.2.{n}") for n in range(12)])
    path = tmp_path / "fragment.pcap"
    path.write_bytes(pcap([(1.7e9, first_fragment(udp_frame(9, 1, 53, 40_000, whole), 160))]))
    reading = read(path)
    (row,) = reading.rows("dns")
    assert (row["answer_bytes"], row["answers"].split(",")[:2]) == (len(whole), ["192.0.2.0", "192.0.2.1"])
    assert not [line for line in reading.ledger if line.reason == "application_malformed"]
