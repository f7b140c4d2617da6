"""Clear-text dialogues of many protocols with a secret in every place where one can stand."""

from __future__ import annotations

import base64
import importlib.util
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_spec = importlib.util.spec_from_file_location("talk", Path(__file__).with_name("talk.py"))
assert _spec is not None
assert _spec.loader is not None
talk: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(talk)
tcp, udp = talk.tcp_talk, talk.udp_talk


@dataclass(frozen=True)
class Dialogue:
    """frames: as on the wire. secrets: what stands in them, as text; each must be found when nothing is masked."""

    name: str
    frames: list[bytes]
    secrets: tuple[str, ...]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def ber(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    assert len(body) < 128
    return bytes((tag, len(body))) + body


def smb2(command: int, body: bytes) -> bytes:
    head = b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ", 64, 1, 0, command, 1, 0, 0, command, 0, 1, 1) + bytes(16)
    return struct.pack(">I", len(head + body)) + head + body


def smb2_create(name: str) -> bytes:
    text = name.encode("utf-16-le")
    body = struct.pack("<HBBIQQIIIIIHHII", 57, 0, 0, 2, 0, 0, 0x12019F, 0, 7, 1, 0x40, 120, len(text), 0, 0)
    return smb2(5, body + text)


def smb2_write(data: bytes) -> bytes:
    return smb2(9, struct.pack("<HHIQ16sIIHHI", 49, 112, len(data), 0, b"\1" * 16, 0, 0, 0, 0, 0) + data)


def http() -> Dialogue:
    login = "user=sec-alice&password=sec-body-pw"
    asked = (
        "POST /sign/in?token=sec-query HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: sec-agent\r\nCookie: sid=sec-cookie\r\n"
        f"Authorization: Basic {b64('sec-user:sec-basic')}\r\nX-Api-Key: sec-key\r\nReferer: http://shop.example/?a=sec-referer\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(login)}\r\n\r\n{login}"
    )
    answer = (
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie: sid=sec-set; HttpOnly\r\nLocation: /next?t=sec-location\r\n"
        b"Content-Type: text/html\r\nContent-Length: 24\r\n\r\n<p>sec-page balance</p>\r\n"
    )
    says = [
        (0, asked.encode()),
        (1, answer),
        (0, b'PUT /x HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"cmd":"rm sec-json"}'),
        (0, b"GET http://sec-urluser:sec-urlpw@h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        (0, b"sec-method /a HTTP/1.1\r\nsec-header\r\n\r\n"),
    ]
    secrets = "sec-alice sec-body-pw sec-query sec-agent sec-cookie sec-basic sec-key sec-referer sec-set sec-location sec-page"
    return Dialogue("http", tcp(80, says), (*secrets.split(), "sec-json", "sec-urlpw", "sec-method"))


def http2() -> Dialogue:
    def literal(name: str, value: str) -> bytes:
        return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()

    head = literal(":method", "GET") + literal(":path", "/a?t=sec-h2query") + literal("cookie", "sec-h2cookie")
    head += literal("authorization", "Bearer sec-h2bearer") + literal(":authority", "h2.example")
    frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    frames += struct.pack(">I", len(head))[1:] + b"\1\4\0\0\0\1" + head
    data = b"sec-h2body"
    frames += struct.pack(">I", len(data))[1:] + b"\0\1\0\0\0\1" + data
    return Dialogue("http2", tcp(80, [(0, frames)]), ("sec-h2query", "sec-h2cookie", "sec-h2bearer", "sec-h2body"))


def lines(name: str, port: int, text: str, secrets: str) -> Dialogue:
    """A dialogue of lines; those that begin with `<` are the server's."""
    says = [(int(line[0] == "<"), line[1:].replace("\\r\\n", "\r\n").encode() + b"\r\n") for line in text.strip().splitlines()]
    return Dialogue(name, tcp(port, says), tuple(secrets.split()))


def ldap() -> Dialogue:
    bind = ber(0x30, b"\2\1\1", ber(0x60, b"\2\1\3", ber(4, b"cn=sec-dn,dc=corp"), ber(0x80, b"sec-bindpw")))
    equal = ber(0xA3, ber(4, b"uid"), ber(4, b"sec-filter"))
    search = ber(0x63, ber(4, b"dc=sec-base"), b"\x0a\1\2\x0a\1\0\2\1\0\2\1\0\1\1\0", equal, ber(0x30, ber(4, b"mail")))
    return Dialogue(
        "ldap", tcp(389, [(0, bind), (0, ber(0x30, b"\2\1\2", search))]), ("sec-dn", "sec-bindpw", "sec-filter", "sec-base")
    )


def snmp() -> Dialogue:
    value = ber(0x30, ber(0x30, ber(6, b"\x2b\6\1\2\1\1\5\0"), ber(4, b"sec-snmpvalue")))
    pdu = ber(0xA3, b"\2\1\1\2\1\0\2\1\0", value)
    return Dialogue(
        "snmp", udp(161, [(0, ber(0x30, b"\2\1\1", ber(4, b"sec-community"), pdu))]), ("sec-community", "sec-snmpvalue")
    )


def dns() -> Dialogue:
    question = b"\3www\7example\0\0\x10\0\1"
    text = b"sec-txtrecord"
    answer = b"\xc0\x0c\0\x10\0\1\0\0\0\x3c" + struct.pack(">H", len(text) + 1) + bytes((len(text),)) + text
    says = [(0, b"\0\1\1\0\0\1\0\0\0\0\0\0" + question), (1, b"\0\1\x81\x80\0\1\0\1\0\0\0\0" + question + answer)]
    return Dialogue("dns", udp(53, says), ("sec-txtrecord",))


def smb() -> Dialogue:
    says = [(0, smb2_create("sec-folder\\sec-file.xlsx")), (0, smb2_write(b"sec-filecontent of the ledger"))]
    return Dialogue("smb2", tcp(445, says), ("sec-folder", "sec-file.xlsx", "sec-filecontent"))


def service() -> Dialogue:
    """CreateService over TCP, with its command line as a DCE/RPC argument that is not understood without its bind."""
    command = "cmd.exe /c sec-command".encode("utf-16-le")
    stub = struct.pack("<III", 22, 0, 22) + command
    head = struct.pack("<BBBBIHHIIHH", 5, 0, 0, 3, 0x10, 24 + len(stub), 0, 1, len(stub), 0, 12)
    return Dialogue("dcerpc", tcp(49152, [(0, head + stub)]), ("sec-command",))


def mysql() -> Dialogue:
    greeting = (
        b"\x0a5.7.1-sql\0"
        + struct.pack("<I", 7)
        + b"saltsalt\0\xff\xf7\x08\2\0\x7f\x80\x15"
        + bytes(10)
        + b"saltsaltsalt\0mysql_native_password\0"
    )
    login = (
        struct.pack("<IIB", 0x0008A20F & ~0x800, 1 << 24, 33)
        + bytes(23)
        + b"sec-mysqluser\0"
        + b"\x14"
        + b"p" * 20
        + b"sec-schema\0"
    )
    query = b"\3select 'sec-mysqlquery'"

    def packet(number: int, body: bytes) -> bytes:
        return struct.pack("<I", len(body))[:3] + bytes((number,)) + body

    says = [(1, packet(0, greeting)), (0, packet(1, login)), (1, packet(2, b"\0\0\0\2\0\0\0")), (0, packet(0, query))]
    return Dialogue("mysql", tcp(3306, says), ("sec-mysqluser", "sec-mysqlquery"))


def postgres() -> Dialogue:
    start = b"user\0sec-pguser\0database\0sec-pgdb\0\0"
    start = struct.pack(">II", len(start) + 8, 196608) + start

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">I", len(body) + 4) + body

    says = [
        (0, start),
        (1, message(b"R", b"\0\0\0\3")),
        (0, message(b"p", b"sec-pgpassword\0")),
        (1, message(b"R", b"\0\0\0\0")),
        (0, message(b"Q", b"select 'sec-pgquery'\0")),
        (1, message(b"D", b"\0\1\0\0\0\x0bsec-pgvalue")),
    ]
    return Dialogue("postgres", tcp(5432, says), ("sec-pguser", "sec-pgpassword", "sec-pgquery", "sec-pgvalue"))


def tftp() -> Dialogue:
    return Dialogue("tftp", udp(69, [(0, b"\0\1sec-tftpfile\0octet\0")]), ("sec-tftpfile",))


def mqtt() -> Dialogue:
    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode()

    connect = text("MQTT") + b"\4\xc2\0\x3c" + text("sec-client") + text("sec-mquser") + text("sec-mqpw")
    publish = text("sec-topic") + b"sec-message"
    says = [(0, bytes((0x10, len(connect))) + connect), (0, bytes((0x30, len(publish))) + publish)]
    return Dialogue("mqtt", tcp(1883, says), ("sec-client", "sec-mquser", "sec-mqpw", "sec-topic", "sec-message"))


def rdp() -> Dialogue:
    cookie = b"Cookie: mstshash=sec-rdpuser\r\n\1\0\x08\0\3\0\0\0"
    x224 = bytes((len(cookie) + 6, 0xE0)) + b"\0\0\0\0\0" + cookie
    return Dialogue("rdp", tcp(3389, [(0, b"\3\0" + struct.pack(">H", len(x224) + 4) + x224)]), ("sec-rdpuser",))


def wrapped() -> Dialogue:
    """An HTTP request inside VXLAN, and one quoted in an ICMP error."""
    inner = tcp(80, [(0, b"GET /a?b=sec-vxlan HTTP/1.1\r\nHost: h\r\nCookie: sec-vxcookie\r\n\r\n")])
    frames = [udp(4789, [(0, b"\x08\0\0\0\0\x13\x88\0" + frame)])[0] for frame in inner]
    quoted = inner[3][14:]
    frames.append(talk.wire.eth(0x0800, talk.wire.ip4(1, b"\3\3\0\0\0\0\0\0" + quoted, talk.B, talk.A)))
    frames.append(talk.wire.eth(0x0800, talk.wire.ip4(1, b"\x08\0\0\0\0\1\0\1sec-pingdata", talk.A, talk.B)))
    return Dialogue("wrapped", frames, ("sec-vxlan", "sec-vxcookie", "sec-pingdata"))


def unknown() -> Dialogue:
    says = [(0, b"*3\r\n$4\r\nAUTH\r\n$9\r\nsec-redis\r\n"), (0, b"\0\1\2sec-binary\xff"), (1, b"sec-answer\n")]
    return Dialogue("unknown", tcp(31337, says), ("sec-binary", "sec-answer", "sec-redis"))


def misplaced(port: int) -> Dialogue:
    """Words where that port's dissector looks for a command, and another protocol's dialogue where it looks for its own."""
    says = [(0, b"sec-word\r\n"), (1, b"sec-reply\r\n"), (0, b"sec-verb sec-argument\r\n"), (0, b"USER sec-misplaced\r\n")]
    return Dialogue(f"port {port}", tcp(port, says), ("sec-word", "sec-reply", "sec-verb", "sec-argument", "sec-misplaced"))


FTP = """
<220 sec-banner ready
>USER sec-ftpuser
<331 Password for sec-ftpuser
>PASS sec-ftppw
<230 Welcome
>RETR sec-ftpfile.doc
<150 Opening sec-ftpdata
"""
SMTP = f"""
<220 mail
>EHLO sec-helo
<250-AUTH LOGIN PLAIN
<250 OK
>AUTH LOGIN
<334 VXNlcm5hbWU6
>{b64("sec-mailuser")}
<334 UGFzc3dvcmQ6
>{b64("sec-mailpw")}
<235 fine
>MAIL FROM:<sec-from@example>
<250 ok
>RCPT TO:<sec-to@example>
<250 ok
>DATA
<354 go
>Subject: sec-subject\\r\\n\\r\\nsec-mailbody\\r\\n.
<250 queued sec-queued
"""
POP = """
<+OK ready
>USER sec-popuser
<+OK
>PASS sec-poppw
<+OK sec-popreply
>RETR 1
<+OK\\r\\nSubject: sec-popsubject\\r\\n\\r\\nsec-popbody\\r\\n.
"""
IMAP = """
<* OK ready
>a1 LOGIN sec-imapuser sec-imappw
<a1 OK fine sec-imapreply
>a2 SELECT sec-folder
<* 1 FETCH (BODY[TEXT] {12}\\r\\nsec-imapbody)
"""
TELNET = """
<login:
>sec-teluser
<Password:
>sec-telpw
<$
>cat sec-telfile
"""
IRC = """
>PASS sec-ircpw
>NICK sec-nick
>PRIVMSG #x :sec-ircmessage
"""
SIP = (
    b"REGISTER sip:sec-domain SIP/2.0\r\nFrom: <sip:sec-sipuser@x>;tag=1\r\nTo: <sip:sec-sipuser@x>\r\nCall-ID: sec-callid\r\n"
    b'CSeq: 1 REGISTER\r\nAuthorization: Digest username="sec-digest", response="sec-response"\r\nContent-Length: 0\r\n\r\n'
)
MEMCACHE = """
>set sec-mkey 0 60 9\\r\\nsec-value
<STORED
>get sec-mkey
<VALUE sec-mkey 0 9\\r\\nsec-value\\r\\nEND
"""
REDIS = """
>AUTH sec-redispw
<+OK
>SET a sec-rvalue
<$10\\r\\nsec-rreply
"""

MAKERS: tuple[Callable[[], Dialogue], ...] = (
    http,
    http2,
    ldap,
    snmp,
    dns,
    smb,
    service,
    mysql,
    postgres,
    tftp,
    mqtt,
    rdp,
    wrapped,
    unknown,
    lambda: lines("ftp", 21, FTP, "sec-banner sec-ftpuser sec-ftppw sec-ftpfile.doc sec-ftpdata"),
    lambda: lines("smtp", 25, SMTP, "sec-helo sec-from sec-to sec-subject sec-mailbody sec-queued " + b64("sec-mailpw")),
    lambda: lines("pop", 110, POP, "sec-popuser sec-poppw sec-popreply sec-popsubject sec-popbody"),
    lambda: lines("imap", 143, IMAP, "sec-imapuser sec-imappw sec-imapreply sec-folder sec-imapbody"),
    lambda: lines("telnet", 23, TELNET, "sec-teluser sec-telpw sec-telfile"),
    lambda: lines("irc", 6667, IRC, "sec-ircpw sec-nick sec-ircmessage"),
    lambda: lines("memcache", 11211, MEMCACHE, "sec-mkey sec-value"),
    lambda: lines("redis", 6379, REDIS, "sec-redispw sec-rvalue sec-rreply"),
    lambda: Dialogue("sip", udp(5060, [(0, SIP)]), ("sec-domain", "sec-sipuser", "sec-callid", "sec-digest", "sec-response")),
    lambda: Dialogue("syslog", udp(514, [(0, b"<34>1 su: sec-syslog for sec-suuser")]), ("sec-syslog", "sec-suuser")),
    *(lambda port=port: misplaced(port) for port in (21, 22, 25, 53, 80, 110, 139, 143, 389, 443, 445, 2049, 3306, 5432, 8080)),
)


def dialogues() -> list[Dialogue]:
    return [make() for make in MAKERS]
