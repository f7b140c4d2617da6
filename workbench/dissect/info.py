"""A packet's line in a list, from allowed fields only. Runs in the child.

tshark's own info column quotes the packet (a request line with its query, a mail command with its argument), so it is
not asked for: tshark prints the fields named here and nothing else.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.dissect.catalogue import Catalogue
from workbench.dissect.shapes import LONGEST, shown

#: Protocol (as in frame.protocols) to the fields its line is made of, with the words before each.
_SAID: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "arp": (("arp.opcode", ""), ("arp.src.proto_ipv4", "from"), ("arp.dst.proto_ipv4", "for")),
    "icmp": (("icmp.type", ""), ("icmp.code", "code"), ("icmp.ident", "id"), ("icmp.seq", "seq")),
    "icmpv6": (
        ("icmpv6.type", ""),
        ("icmpv6.code", "code"),
        ("icmpv6.nd.ns.target_address", "for"),
        ("icmpv6.nd.na.target_address", "of"),
    ),
    "dns": (
        ("dns.flags.response", ""),
        ("dns.qry.type", ""),
        ("dns.qry.name", ""),
        ("dns.flags.rcode", ""),
        ("dns.a", "A"),
        ("dns.aaaa", "AAAA"),
        ("dns.cname", "CNAME"),
    ),
    "tls": (
        ("tls.handshake.type", ""),
        ("tls.record.content_type", ""),
        ("tls.handshake.extensions_server_name", "SNI"),
        ("tls.handshake.extensions_alpn_str", "ALPN"),
        ("tls.alert_message.desc", "alert"),
    ),
    "quic": (("quic.long.packet_type", ""), ("quic.version", "version"), ("tls.handshake.extensions_server_name", "SNI")),
    "http": (
        ("http.request.method", ""),
        ("http.request.uri", ""),
        ("http.host", "host"),
        ("http.response.code", "status"),
        ("http.content_type", ""),
        ("http.server", "server"),
    ),
    "http2": (
        ("http2.type", ""),
        ("http2.headers.method", ""),
        ("http2.headers.path", ""),
        ("http2.headers.authority", "host"),
        ("http2.headers.status", "status"),
    ),
    "ssh": (("ssh.protocol", ""), ("ssh.message_code", "")),
    "smb": (("smb.cmd", ""), ("smb.nt_status", ""), ("smb.path", ""), ("smb.file", "pipe")),
    "smb2": (("smb2.cmd", ""), ("smb2.flags.response", ""), ("smb2.nt_status", ""), ("smb2.tree", ""), ("smb2.filename", "pipe")),
    "dcerpc": (("dcerpc.pkt_type", ""), ("dcerpc.opnum", "operation"), ("dcerpc.cn_bind_to_uuid", "interface")),
    "kerberos": (("kerberos.msg_type", ""), ("kerberos.realm", "realm"), ("kerberos.error_code", "")),
    "ldap": (("ldap.protocolOp", ""), ("ldap.resultCode", "")),
    "srvloc": (("srvloc.function", ""), ("srvloc.srvreq.srvtypelist", "")),
    "dhcp": (("dhcp.option.dhcp", ""), ("dhcp.option.hostname", "host"), ("dhcp.ip.your", "for")),
    "rdp": (("rdp.neg_type", ""),),
    "ftp": (("ftp.request.command", ""), ("ftp.response.code", "")),
    "smtp": (("smtp.req.command", ""), ("smtp.response.code", "")),
    "pop": (("pop.request.command", ""), ("pop.response.indicator", "")),
    "imap": (("imap.request.command", ""), ("imap.response.status", "")),
    "sip": (("sip.Method", ""), ("sip.Status-Code", "status")),
    "tftp": (("tftp.opcode", ""), ("tftp.block", "block")),
    "snmp": (("snmp.data", ""),),
    "syslog": (("syslog.facility", ""), ("syslog.level", "")),
    "mysql": (("mysql.command", ""), ("mysql.error_code", "error")),
    "pgsql": (("pgsql.type", ""),),
    "memcache": (("memcache.command", ""), ("memcache.opcode", "")),
    "mqtt": (("mqtt.msgtype", ""),),
    "ntp": (("ntp.flags.mode", ""),),
    "nbns": (("nbns.name", ""),),
    "infiniband": (("infiniband.bth.opcode", ""), ("infiniband.bth.destqp", "QP"), ("infiniband.bth.psn", "PSN")),
}
_SAID_OPERATIONS: Final = (
    "svcctl",
    "samr",
    "lsarpc",
    "srvsvc",
    "wkssvc",
    "winreg",
    "atsvc",
    "spoolss",
    "netlogon",
    "drsuapi",
    "epm",
)
_BASE: Final = (
    "frame.number",
    "frame.time_epoch",
    "frame.len",
    "frame.protocols",
    "eth.src",
    "eth.dst",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags",
    "tcp.seq",
    "tcp.ack",
    "tcp.window_size",
    "tcp.len",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "tls.handshake.version",
)
_FLAGS: Final = ((2, "SYN"), (16, "ACK"), (8, "PSH"), (1, "FIN"), (4, "RST"), (32, "URG"), (64, "ECE"), (128, "CWR"))
#: Layers that are content or encodings, not the protocol of a packet.
_NOT_SHOWN: Final = (
    "data data-text-lines json xml urlencoded-form mime_multipart media x509sat x509af x509ce x509if pkcs1 pkix1implicit "
    "pkix1explicit tcp.segments ethertype image-gif image-jfif png gss-api spnego spnego-krb5 ber frame _ws.malformed "
    "_ws.short _ws.unreassembled"
)
#: At most so many values of one field in a line.
_EACH: Final = 3
Fields = Mapping[str, list[str]]


#: tshark's own text for a packet; asked for only where nothing is masked.
WHOLE: Final = "_ws.col.Info"
_WHOLE_KEY: Final = WHOLE.replace(".", "_")


def fields(catalogue: Catalogue) -> list[str]:
    """Every field that lines are made of and that this tshark has."""
    named = [field for said in _SAID.values() for field, _ in said]
    named += [f"{name}.opnum" for name in _SAID_OPERATIONS]
    return [name for name in dict.fromkeys([*_BASE, *named]) if name in catalogue.shapes]


def row(piece: bytes, catalogue: Catalogue, *, unmask: bool = False) -> list[Any] | None:
    """One packet's line as it crosses the pipe (see lines.Line), from a line of `-T ek`; None where it is none.

    unmask: its text is tshark's own, if that is among what came.
    """
    try:
        said = json.loads(piece)["layers"]
        got = {str(name): [str(one) for one in values] for name, values in said.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    found = _Packet(got, catalogue).row()
    if unmask and got.get(_WHOLE_KEY):
        found[-1] = got[_WHOLE_KEY][0][: 4 * LONGEST]
    return found


class _Packet:
    def __init__(self, got: Fields, catalogue: Catalogue) -> None:
        self.got, self.catalogue = got, catalogue
        self.layers = self.first("frame.protocols").split(":")

    def row(self) -> list[Any]:
        number, length = self.first("frame.number"), self.first("frame.len")
        src, dst = self.ends()
        name = self.top()
        info = " ".join(word for word in (*self.transport(), *self.words(name)) if word)
        protocol = self.catalogue.short(name)
        return [_int(number), _nanoseconds(self.first("frame.time_epoch")), src, dst, protocol, _int(length), info[:LONGEST]]

    def all(self, name: str) -> list[str]:
        """What may be shown of a field's values."""
        shape = self.catalogue.shapes.get(name)
        if shape is None:
            return []
        found = (shown(shape, text) for text in self.got.get(name.replace(".", "_"), ()))
        return [text for text in found if text is not None]

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def top(self) -> str:
        """The highest layer that is a protocol with something to say, else the highest of all."""
        told = [layer for layer in self.layers if layer and layer not in _NOT_SHOWN.split()]
        if "dcerpc" in told:
            return "dcerpc"
        return next((layer for layer in reversed(told) if layer in _SAID), told[-1] if told else "frame")

    def inner(self, *names: str) -> int:
        """Which of several headers of that kind is the packet's own: the innermost, but none quoted in an ICMP error."""
        layers = self.layers
        for quoting in ("icmp", "icmpv6"):
            if quoting in layers:
                layers = layers[: layers.index(quoting)]
        return sum(layers.count(name) for name in names) - 1

    def ends(self) -> tuple[str, str]:
        """Addresses of the innermost packet."""
        ahead = self.layers
        for quoting in ("icmp", "icmpv6"):
            ahead = ahead[: ahead.index(quoting)] if quoting in ahead else ahead
        kind = next((layer for layer in reversed(ahead) if layer in ("ip", "ipv6")), "")
        if kind:
            n = ahead.count(kind) - 1
            return _nth(self.all(f"{kind}.src"), n), _nth(self.all(f"{kind}.dst"), n)
        for prefix, tail in (("arp", ".proto_ipv4"), ("eth", "")):
            if found := self.first(f"{prefix}.src{tail}"):
                return found, self.first(f"{prefix}.dst{tail}")
        return "", ""

    def transport(self) -> Iterator[str]:
        """Ports, and of TCP flags and numbers."""
        for kind in ("tcp", "udp"):
            n = self.inner(kind)
            if n < 0:
                continue
            if kind == "udp" and "tcp" in self.layers and self.inner("tcp") >= 0:
                continue
            yield f"{_nth(self.all(f'{kind}.srcport'), n)} → {_nth(self.all(f'{kind}.dstport'), n)}"
            if kind == "tcp":
                flags = _int(_nth(self.all("tcp.flags"), n))
                yield "[" + ", ".join(name for bit, name in _FLAGS if flags & bit) + "]"
                for word, field in (("seq", "tcp.seq"), ("ack", "tcp.ack"), ("len", "tcp.len")):
                    yield f"{word}={_nth(self.all(field), n)}"

    def words(self, name: str) -> Iterator[str]:
        said = _SAID.get(name, ())
        if name == "dcerpc":
            said += tuple((f"{one}.opnum", one) for one in _SAID_OPERATIONS)
        for field, before in said:
            for text in dict.fromkeys(self.all(field)[:_EACH]):
                if field == "dns.flags.response" or field == "smb2.flags.response":
                    yield "response" if text in ("1", "True") else "request"
                    continue
                told = self.catalogue.value(field, text) or text
                yield f"{before} {told}".strip()


def _nth(values: list[str], n: int) -> str:
    return values[n] if 0 <= n < len(values) else values[-1] if values else ""


def _int(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0


def _nanoseconds(text: str) -> int:
    """Seconds since 1970 with their fraction; later versions write a date."""
    whole, _, fraction = text.partition(".")
    if whole.lstrip("-").isdigit():
        part = int((fraction + "000000000")[:9]) if fraction.isdigit() else 0
        return int(whole) * 1_000_000_000 + part
    return _date(text)


def _date(text: str) -> int:
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        seconds = int(dt.datetime.fromisoformat(whole).replace(tzinfo=dt.UTC).timestamp())
    except ValueError:
        return 0
    return seconds * 1_000_000_000 + (int((fraction + "000000000")[:9]) if fraction.isdigit() else 0)
