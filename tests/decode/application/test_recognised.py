"""Protocols that are only recognised: real first bytes of each, which no other protocol of the package takes for its own."""

from __future__ import annotations

import pytest

from workbench.decode.application.protocol import Cut, Probe, Signature
from workbench.decode.application.registry import protocols

#: (protocol, transport, who says it, responder's port, first bytes)
SAID = [
    ("smtp", "tcp", "src", 2526, b"EHLO client.example.org\r\n"),
    ("smtp", "tcp", "dst", 25, b"220 mail.example.org ESMTP\r\n"),
    ("imap", "tcp", "dst", 1143, b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
    ("pop3", "tcp", "dst", 1110, b"+OK POP3 ready\r\n"),
    ("ftp", "tcp", "dst", 2100, b"220 (vsFTPd 3.0.3)\r\n"),
    ("ftp", "tcp", "dst", 21, b"220 ready\r\n"),
    ("xmpp", "tcp", "src", 5299, b"<stream:stream to='example.org' xmlns='jabber:client'>"),
    ("xmpp", "tcp", "src", 5222, b"<?xml version='1.0'?><stream:stream>"),
    ("postgresql", "tcp", "src", 6432, bytes.fromhex("0000000804d2162f")),
    ("postgresql", "tcp", "src", 6432, bytes.fromhex("0000002a00030000") + b"user\0someone\0"),
    ("mysql", "tcp", "dst", 3307, b"\x4a\0\0\0\x0a8.0.36\0" + bytes(60)),
    ("redis", "tcp", "src", 6380, b"*2\r\n$4\r\nLLEN\r\n$1\r\na\r\n"),
    ("redis", "tcp", "src", 6380, b"*12\r\n$4\r\nMSET\r\n"),
    ("irc", "tcp", "src", 7000, b"NICK someone\r\n"),
    ("sip", "udp", "src", 5070, b"INVITE sip:service@example.org SIP/2.0\r\n"),
    ("sip", "tcp", "dst", 5070, b"SIP/2.0 200 OK\r\n"),
    ("rtsp", "tcp", "src", 9000, b"DESCRIBE rtsp://camera.example.org/ RTSP/1.0\r\n"),
    ("telnet", "tcp", "dst", 2323, b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23"),
    ("mqtt", "tcp", "src", 1884, b"\x10\x1a\0\x04MQTT\x05\x02\0\x3c"),
    ("mqtt", "tcp", "src", 1884, b"\x10\xba\x01\0\x04MQTT\x05\x02\0\x3c"),
    ("mqtt", "tcp", "src", 1884, b"\x10\x1a\0\x06MQIsdp\x03"),
    ("amqp", "tcp", "src", 5673, b"AMQP\0\0\x09\x01"),
    ("bittorrent", "tcp", "src", 50000, b"\x13BitTorrent protocol" + bytes(48)),
    ("bittorrent", "udp", "src", 50000, b"d1:ad2:id20:abcdefghij0123456789e"),
    ("stun", "udp", "src", 50000, b"\0\x01\0\x08\x21\x12\xa4\x42" + bytes(20)),
    ("stun", "udp", "src", 3478, b"\0\x01\0\x18" + bytes(range(40))),
    ("amqp", "tcp", "src", 5672, b"\x01\0\x01\0\0\0\x21\0\x3c\0\x28"),
    ("tls", "tcp", "src", 443, b"\x17\x03\x03\0\xb1" + bytes(20)),
    ("openvpn", "udp", "src", 1194, b"\x38" + bytes(13)),
    ("wireguard", "udp", "src", 51820, b"\x01\0\0\0" + bytes(144)),
    ("memcached", "tcp", "src", 11212, b"stats\r\n"),
    ("memcached", "udp", "src", 11212, b"\x12\x34\0\0\0\x01\0\0stats\r\n"),
    ("rfb", "tcp", "dst", 6001, b"RFB 003.008\n"),
    ("modbus", "tcp", "src", 502, b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01"),
    ("iec104", "tcp", "src", 2405, b"\x68\x04\x07\0\0\0"),
    ("dnp3", "tcp", "src", 20000, b"\x05\x64\x05\xc9\0\0\x01\0\xfa\xfa"),
    ("socks", "tcp", "src", 1080, b"\x05\x01\0"),
    ("socks", "tcp", "src", 1080, b"\x04\x01\0\x50\x7f\0\0\x01\0"),
    ("syslog", "udp", "src", 5514, b"<34>Oct 11 22:14:15 host su: denied"),
    ("irc", "tcp", "src", 8000, b"USER someone 8 * :Some One\r\n"),
    ("irc", "tcp", "dst", 8000, b":irc.example.org NOTICE * :*** Looking up your hostname...\r\n"),
    ("syslog", "tcp", "src", 514, b"<167>2016-05-24T09:50:52 host slapd: done\n"),
    ("syslog", "tcp", "src", 601, b"58 <34>1 2003-10-11T22:14:15Z host app - - - denied"),
    ("rtcp", "udp", "src", 50001, b"\x80\xc9\0\x01" + bytes(4)),
    ("radmin", "tcp", "src", 4899, b"\x01\0\0\0\x01\0\0\0\x08\x08"),
    ("rdpeudp", "udp", "src", 3389, b"\xff\xff\xff\xff\0\x40\x18\x01" + bytes(1224)),
    ("dnscrypt", "udp", "dst", 5353, b"r6fnvWj8" + bytes(40)),
    ("dnscrypt", "tcp", "dst", 443, b"\x01\0r6fnvWj8" + bytes(40)),
    ("megaco", "udp", "src", 2944, b"MEGACO/1 [192.0.2.1]:2944\nTransaction = 1 {"),
    ("megaco", "udp", "src", 2945, b"!/1 [192.0.2.1]:2944\nT=1{"),
    ("netbios-dgm", "udp", "src", 138, b"\x11\x0a\x12\x34\xc0\0\x02\x01\0\x8a\0\xbb\0\0" + bytes(60)),
    ("rip", "udp", "src", 520, b"\x02\x02\0\0\0\x02\0\0" + bytes(16)),
    ("rip", "udp", "src", 521, b"\x01\x01\0\0" + bytes(20)),
    ("bfd", "udp", "src", 3784, b"\x20\xc0\x03\x18" + bytes(20)),
    ("bfd", "udp", "src", 3784, b"\x20\x44\x03\x34" + bytes(48)),
    ("syslog", "udp", "src", 5514, b"<165>1 2003-10-11T22:14:15Z host app - - -"),
    ("rsync", "tcp", "dst", 8730, b"@RSYNCD: 31.0\n"),
    ("git", "tcp", "src", 9419, b"0033git-upload-pack /project.git\0host=example.org\0"),
    ("bitcoin", "tcp", "src", 8444, b"\xf9\xbe\xb4\xd9version\0\0\0\0\0" + bytes(8)),
    ("ceph", "tcp", "dst", 6790, b"ceph v027" + bytes(20)),
    ("gearman", "tcp", "src", 4731, b"\0REQ\0\0\0\x01\0\0\0\x03abc"),
    ("rtmp", "tcp", "src", 1935, b"\x03\0\0\x12\x34\0\0\0\0" + bytes(range(60))),
    ("mgcp", "udp", "src", 2428, b"RQNT 1 aaln/1@gw.example.org MGCP 1.0\r\n"),
    ("fix", "tcp", "src", 9878, b"8=FIX.4.4\x019=70\x0135=A\x01"),
    ("mongodb", "tcp", "src", 27018, b"\x3a\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0" + bytes(42)),
    ("nats", "tcp", "dst", 4223, b'INFO {"server_id":"x"}\r\n'),
    ("tds", "tcp", "src", 1433, b"\x12\x01\0\x2f\0\0\x01\0" + bytes(39)),
    ("bgp", "tcp", "src", 1179, b"\xff" * 16 + b"\0\x1d\x01\x04"),
    ("radius", "udp", "src", 1812, b"\x01\x07\0\x38" + bytes(52)),
    ("tacacs", "tcp", "src", 49, b"\xc1\x01\x01\0" + bytes(8)),
    ("tftp", "udp", "src", 69, b"\0\x01file\0octet\0"),
    ("ssdp", "udp", "src", 1900, b"M-SEARCH * HTTP/1.1\r\n"),
    ("isakmp", "udp", "src", 500, b"\1" * 8 + bytes(8) + b"\x21\x20\x22\x08" + bytes(8)),
    ("openflow", "tcp", "src", 6653, b"\x04\0\0\x08\0\0\0\x01"),
    ("ovsdb", "tcp", "src", 6640, b'{"method":"echo","id":"echo"}'),
    ("vmware-auth", "tcp", "dst", 902, b"220 VMware Authentication Daemon Version 1.10\r\n"),
    ("x11", "tcp", "src", 6010, b"l\0\x0b\0\0\0\0\0\0\0\0\0"),
    ("diameter", "tcp", "src", 3869, b"\x01\0\0\xc8\x80\0\x01\x01" + bytes(12)),
    ("http2", "tcp", "src", 8080, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("ssh", "tcp", "dst", 2222, b"SSH-2.0-OpenSSH_9.6\r\n"),
    ("tls", "tcp", "src", 8444, b"\x16\x03\x01\0\xf8\x01\0\0\xf4\x03\x03"),
    ("dtls", "udp", "src", 40000, b"\x16\xfe\xff" + bytes(8) + b"\0\x10\x01" + bytes(15)),
    ("quic", "udp", "src", 4433, b"\xc3\0\0\0\x01\x08" + bytes(40)),
]


def fits(signature: Signature, transport: str, side: str, port: int, data: bytes) -> bool:
    """What the flow table does with a signature, in the plainest words."""
    if signature.transport != transport or signature.side not in (None, side):
        return False
    if signature.ports and port not in signature.ports:
        return False
    part = data[signature.at : signature.at + len(signature.value)]
    if len(part) < len(signature.value) or len(data) < signature.least:
        return False
    mask = signature.mask or b"\xff" * len(part)
    if any((a ^ b) & m for a, b, m in zip(part, signature.value, mask, strict=True)):
        return False
    line = data.split(b"\n")[0].rstrip(b"\r")
    return signature.probe is not Probe.TEXT or all(32 <= byte < 127 for byte in line)


@pytest.mark.parametrize(("name", "transport", "side", "port", "data"), SAID)
def test_first_bytes_belong_to_one_protocol(name: str, transport: str, side: str, port: int, data: bytes) -> None:
    found = {p.name for p in protocols() for s in p.signatures if s.strong and fits(s, transport, side, port, data)}
    assert found - {name} == set()
    own = next(p for p in protocols() if p.name == name)
    assert any(fits(s, transport, side, port, data) for s in own.signatures)


def test_every_recognised_protocol_is_tried_and_leaves_no_doubt() -> None:
    only = [p for p in protocols() if not p.reader and not p.batch and p.signatures]
    assert {p.name for p in only} <= {name for name, *_ in SAID}
    for protocol in only:
        assert all(s.strong for s in protocol.signatures), f"{protocol.name}: nobody decides where its signature does not"


def test_signatures_that_say_little_ask_for_a_port() -> None:
    for protocol in protocols():
        for signature in protocol.signatures:
            mask = signature.mask or b"\xff" * len(signature.value)
            told = sum(byte.bit_count() for byte in mask)
            assert not signature.strong or signature.ports or signature.probe or told >= 24, protocol.name


@pytest.mark.parametrize("name", ["smtp", "imap", "pop3", "ftp", "xmpp", "postgresql", "mysql", "socks", "irc"])
def test_those_that_turn_into_tls_are_cut_until_they_do(name: str) -> None:
    framing = next(p for p in protocols() if p.name == name).framed("tcp")
    assert framing.cut in (Cut.LINES, Cut.LENGTH)
    assert framing.most >= 8


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\0" * 64,
        b"\xff" * 12 + b"\0" * 20,
        b"hello world\r\n",
        b"\x30\x0c\x02\x01\x01\x60\x07",
        b"+OK\r\n",
    ],
)
@pytest.mark.parametrize("side", ["src", "dst"])
def test_other_bytes_are_nobody_s(data: bytes, side: str) -> None:
    for transport in ("tcp", "udp"):
        found = [
            p.name
            for p in protocols()
            for s in p.signatures
            if s.strong and not s.probe and fits(s, transport, side, 50000, data)
        ]
        assert found == []
