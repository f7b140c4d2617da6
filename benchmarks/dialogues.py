"""Template conversations by kind: what programs in a data centre say to each other, with invented names and random content.

Layouts: DNS RFC 1035, HTTP/1.1 RFC 9112, SSH RFC 4253, SMB2 MS-SMB2, NTP RFC 5905, QUIC RFC 9000 and 9001, ICMP RFC 792/4443.
"""

from __future__ import annotations

import numpy as np

from benchmarks import quic as quic_packets
from benchmarks import tls
from benchmarks.frames import Conversation, TcpTalk, echo, udp

WORDS = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "iris", "jade", "kelp", "lotus",
    "maple", "north", "olive", "pine", "quartz", "river", "slate", "tidal", "umber", "vale", "willow", "zephyr",
]  # fmt: skip
ZONES = ("corp.example", "svc.cluster.example", "lab.example", "shop.example", "example.net", "example.org")


def host_name(rng: np.random.Generator) -> str:
    """An invented host name under a reserved domain (RFC 2606)."""
    a, b = rng.integers(0, len(WORDS), 2)
    return f"{WORDS[a]}-{WORDS[b]}{rng.integers(0, 40)}.{ZONES[int(rng.integers(0, len(ZONES)))]}"


def talk_on(line: Conversation, loss: float = 0.002) -> TcpTalk:
    """A connected TCP talk, with or without timestamps."""
    talk = TcpTalk(line, stamps=bool(line.rng.random() < 0.6), loss=loss)
    talk.connect()
    return talk


def finish(talk: TcpTalk) -> None:
    """End as connections do: mostly orderly, some reset, some left open."""
    draw = talk.line.rng.random()
    if draw < 0.86:
        talk.close(int(talk.line.rng.integers(0, 2)))
    elif draw < 0.96:
        talk.reset(int(talk.line.rng.integers(0, 2)))


def _qname(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"


def dns(line: Conversation) -> None:
    """A query with its answer: A, AAAA, CNAME, PTR, MX, TXT, SRV, or a name that does not exist."""
    rng = line.rng
    kind = int(rng.choice([1, 1, 1, 1, 28, 28, 12, 15, 16, 33]))
    name = host_name(rng)
    if kind == 12:
        name = ".".join(str(x) for x in rng.integers(1, 254, 3)) + ".10.in-addr.arpa"
    question = _qname(name) + tls.u16(kind) + b"\0\x01"
    ident = rng.bytes(2)
    edns = b"\0\0\x29\x04\xd0\0\0\0\0\0\0" if rng.random() < 0.5 else b""
    more = tls.u16(1 if edns else 0)
    udp(line, 0, ident + b"\x01\0\0\x01\0\0\0\0" + more + question + edns)
    draw = rng.random()
    if draw < 0.03:
        return
    line.turn()
    line.wait(float(rng.exponential(3.0)))
    code = 3 if draw < 0.18 else 2 if draw < 0.2 else 0
    answers = _answers(rng, kind) if code == 0 else []
    udp(
        line,
        1,
        ident
        + b"\x81"
        + bytes((0x80 | code,))
        + b"\0\x01"
        + tls.u16(len(answers))
        + b"\0\0"
        + more
        + question
        + b"".join(answers)
        + edns,
    )
    if draw > 0.9 and kind in (1, 28):  # the resolver asks for the other family on the same port
        question = _qname(name) + tls.u16(29 - kind) + b"\0\x01"
        ident = rng.bytes(2)
        udp(line, 0, ident + b"\x01\0\0\x01\0\0\0\0\0\0" + question)
        line.turn()
        answers = _answers(rng, 29 - kind)
        udp(line, 1, ident + b"\x81\x80\0\x01" + tls.u16(len(answers)) + b"\0\0\0\0" + question + b"".join(answers))


def _answers(rng: np.random.Generator, kind: int) -> list[bytes]:
    def answer(rtype: int, data: bytes) -> bytes:
        return b"\xc0\x0c" + tls.u16(rtype) + b"\0\x01" + int(rng.integers(5, 3600)).to_bytes(4, "big") + tls.vec(data, 2)

    count = int(rng.integers(1, 4))
    if kind == 1:
        return [answer(1, b"\x0a" + rng.bytes(3)) for _ in range(count)]
    if kind == 28:
        return [answer(28, bytes.fromhex("fd000020") + rng.bytes(12)) for _ in range(count)]
    if kind == 12:
        return [answer(12, _qname(host_name(rng)))]
    if kind == 15:
        return [answer(15, tls.u16(10 * (n + 1)) + _qname(host_name(rng))) for n in range(count)]
    if kind == 33:
        return [answer(33, b"\0\x0a\0\x05\x01\xbb" + _qname(host_name(rng))) for _ in range(count)]
    return [answer(16, tls.vec(b"v=spf1 include:" + host_name(rng).encode() + b" -all", 1))]


def https(line: Conversation) -> None:
    """TLS with a few requests and answers behind it."""
    rng = line.rng
    talk = talk_on(line)
    alpn = (("h2", "http/1.1"), ("http/1.1",), (), ("h2",))[int(rng.integers(0, 4))]
    name = host_name(rng) if rng.random() < 0.93 else ""
    issuer = f"{WORDS[int(rng.integers(0, len(WORDS)))].title()} Trust"
    chain = tls.vec(tls.certificate(rng, name or "appliance.example", issuer), 3)
    if rng.random() < 0.7:
        chain += tls.vec(tls.certificate(rng, f"{issuer} Issuing CA", issuer), 3)
    tls.handshake(talk, rng, name, alpn, chain)
    for _ in range(int(rng.integers(1, 4))):
        talk.send(0, tls.opaque(rng, int(rng.integers(120, 900))))
        line.turn()
        line.wait(float(rng.exponential(8.0)))
        talk.send(1, tls.opaque(rng, int(min(rng.lognormal(7.7, 1.2), 120_000))))
        line.wait(float(rng.exponential(400.0)))
    talk.send(0, tls.record(21, rng.bytes(26)))
    finish(talk)


def http(line: Conversation) -> None:
    """HTTP/1.1 with keep-alive: several requests, with bodies by length or in chunks."""
    rng = line.rng
    talk = talk_on(line)
    host = host_name(rng)
    agent = ("curl/8.5.0", "Go-http-client/1.1", "python-requests/2.32", "Mozilla/5.0 (X11; Linux x86_64)", "kube-probe/1.31")[
        int(rng.integers(0, 5))
    ]
    for _ in range(int(rng.integers(1, 6))):
        path = "/" + "/".join(WORDS[int(n)] for n in rng.integers(0, len(WORDS), int(rng.integers(1, 4))))
        post = rng.random() < 0.25
        body = b'{"' + rng.bytes(int(rng.integers(10, 700))).hex().encode() + b'":1}' if post else b""
        head = f"{'POST' if post else 'GET'} {path}?id={rng.integers(0, 9999)} HTTP/1.1\r\nHost: {host}\r\n"
        head += f"User-Agent: {agent}\r\nAccept: */*\r\n"
        head += (
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n" if post else "Accept-Encoding: gzip\r\n\r\n"
        )
        talk.send(0, head.encode() + body)
        line.turn()
        line.wait(float(rng.exponential(6.0)))
        talk.send(1, _response(rng))
        line.wait(float(rng.exponential(300.0)))
    finish(talk)


def _response(rng: np.random.Generator) -> bytes:
    status = ("200 OK", "200 OK", "200 OK", "404 Not Found", "302 Found", "304 Not Modified", "500 Internal Server Error")[
        int(rng.integers(0, 7))
    ]
    server = ("nginx/1.26.2", "Apache/2.4.62", "envoy", "gunicorn")[int(rng.integers(0, 4))]
    head = f"HTTP/1.1 {status}\r\nServer: {server}\r\nDate: Tue, 04 Mar 2025 10:00:00 GMT\r\n"
    if status.startswith("304"):
        return (head + "Connection: keep-alive\r\n\r\n").encode()
    body = rng.bytes(int(min(rng.lognormal(7.3, 1.2), 100_000)))
    kind = ("application/json", "text/html; charset=utf-8", "application/octet-stream")[int(rng.integers(0, 3))]
    if kind.startswith(("text", "application/json")):
        body = b'"' + body.hex().encode()[: len(body)] + b'"'
    head += f"Content-Type: {kind}\r\nConnection: keep-alive\r\n"
    if rng.random() < 0.3:
        chunks = [body[n : n + 4096] for n in range(0, len(body), 4096)]
        return (
            (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
            + b"".join(f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in chunks)
            + b"0\r\n\r\n"
        )
    return (head + f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def ssh(line: Conversation) -> None:
    """SSH: banners, KEXINIT, key exchange, then opaque packets with a person's pauses."""
    rng = line.rng
    talk = talk_on(line)
    client = ("SSH-2.0-OpenSSH_9.2p1 Debian-2", "SSH-2.0-Go", "SSH-2.0-libssh_0.10.6", "SSH-2.0-PuTTY_Release_0.81")[
        int(rng.integers(0, 4))
    ]
    server = ("SSH-2.0-OpenSSH_9.6", "SSH-2.0-OpenSSH_8.7", "SSH-2.0-dropbear_2022.83")[int(rng.integers(0, 3))]
    talk.send(0, client.encode() + b"\r\n")
    line.turn()
    talk.send(1, server.encode() + b"\r\n")
    talk.send(0, _kexinit(rng))
    talk.send(1, _kexinit(rng))
    line.turn()
    talk.send(0, _ssh_packet(rng, b"\x1e" + tls.vec(rng.bytes(32), 4)))
    line.turn()
    reply = b"\x1f" + tls.vec(tls.vec(b"ssh-ed25519", 4) + tls.vec(rng.bytes(32), 4), 4) + tls.vec(rng.bytes(32), 4)
    talk.send(
        1,
        _ssh_packet(rng, reply + tls.vec(tls.vec(b"ssh-ed25519", 4) + tls.vec(rng.bytes(64), 4), 4)) + _ssh_packet(rng, b"\x15"),
    )
    talk.send(0, _ssh_packet(rng, b"\x15") + rng.bytes(44))
    for n in range(int(rng.integers(6, 40))):
        talk.send(0, rng.bytes(36 if n > 3 else 100))
        line.turn()
        talk.send(1, rng.bytes(int(36 + 16 * rng.integers(0, 40))))
        line.wait(float(rng.exponential(900.0)))
    finish(talk)


def _ssh_packet(rng: np.random.Generator, payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes((padding,)) + payload + rng.bytes(padding)


def _kexinit(rng: np.random.Generator) -> bytes:
    kex = [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "diffie-hellman-group16-sha512",
        "sntrup761x25519-sha512@openssh.com",
    ]
    ciphers = ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]
    macs = ["umac-64-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", "hmac-sha1"]
    lists = [
        kex[: int(rng.integers(2, 6))],
        ["ssh-ed25519", "rsa-sha2-512"],
        *[ciphers[: int(rng.integers(2, 6))]] * 2,
        *[macs[: int(rng.integers(1, 5))]] * 2,
    ]
    lists += [["none", "zlib@openssh.com"], ["none", "zlib@openssh.com"], [], []]
    return _ssh_packet(
        rng, b"\x14" + rng.bytes(16) + b"".join(tls.vec(",".join(names).encode(), 4) for names in lists) + bytes(5)
    )


def _smb2(command: int, message: int, body: bytes, *, reply: bool, session: int = 0, tree: int = 0, status: int = 0) -> bytes:
    """One SMB2 message in direct TCP framing (MS-SMB2 2.1, 2.2.1.2)."""
    head = b"\xfeSMB\x40\0\x01\0" + status.to_bytes(4, "little") + command.to_bytes(2, "little") + b"\x1f\0"
    head += (
        (1 if reply else 0).to_bytes(4, "little")
        + bytes(4)
        + message.to_bytes(8, "little")
        + b"\xff\xfe\0\0"
        + tree.to_bytes(4, "little")
    )
    return (len(head) + 24 + len(body)).to_bytes(4, "big") + head + session.to_bytes(8, "little") + bytes(16) + body


def _ntlm(kind: int, rng: np.random.Generator) -> bytes:
    """A bare NTLMSSP message (MS-NLMP) as SMB2 allows it without SPNEGO: negotiate (1) or challenge (2)."""
    if kind == 1:
        return b"NTLMSSP\0\x01\0\0\0" + (0xE2088297).to_bytes(4, "little") + bytes(16) + b"\x0a\0\x61\x4a\0\0\0\x0f"
    name = "FILES".encode("utf-16-le")
    info = b"\x02\0" + len(name).to_bytes(2, "little") + name + bytes(4)
    fields = (
        len(name).to_bytes(2, "little") * 2
        + (56).to_bytes(4, "little")
        + (0xE2898215).to_bytes(4, "little")
        + rng.bytes(8)
        + bytes(8)
    )
    return (
        b"NTLMSSP\0\x02\0\0\0"
        + fields
        + len(info).to_bytes(2, "little") * 2
        + (56 + len(name)).to_bytes(4, "little")
        + b"\x0a\0\x61\x4a\0\0\0\x0f"
        + name
        + info
    )


def smb(line: Conversation) -> None:
    """SMB2: negotiate, session setup, tree connect, create, reads, close."""
    rng = line.rng
    talk = talk_on(line)
    session, tree, file_id = int(rng.integers(1, 2**40)), int(rng.integers(1, 100)), rng.bytes(16)
    number = 0

    def exchange(command: int, ask: bytes, answer: bytes, status: int = 0, sid: int = session, tid: int = tree) -> None:
        nonlocal number
        talk.send(0, _smb2(command, number, ask, reply=False, session=sid if command > 0 and number > 1 else 0, tree=tid))
        line.turn()
        line.wait(float(rng.exponential(1.5)))
        talk.send(1, _smb2(command, number, answer, reply=True, session=sid, tree=tid, status=status))
        number += 1

    ask = b"\x24\0\x03\0\x01\0\0\0\x7f\0\0\0" + rng.bytes(16) + bytes(8) + b"\x02\x02\x10\x02\0\x03"
    exchange(
        0,
        ask,
        b"\x41\0\x01\0\x00\x03\0\0" + rng.bytes(16) + b"\x07\0\0\0" + b"\0\0\x80\0" * 3 + bytes(16) + b"\x80\0\0\0\0\0\0\0",
        sid=0,
        tid=0,
    )
    blob = _ntlm(1, rng)
    challenge = _ntlm(2, rng)
    setup = b"\x19\0\0\x01\0\0\0\0\0\0\0\0\x58\0" + len(blob).to_bytes(2, "little") + bytes(8) + blob
    exchange(1, setup, b"\x09\0\0\0\x48\0" + len(challenge).to_bytes(2, "little") + challenge, status=0xC0000016, tid=0)
    exchange(1, setup, b"\x09\0\0\0\x48\0\0\0", tid=0)
    share = f"\\\\{host_name(rng)}\\{('data', 'IPC$', 'backup', 'ADMIN$')[int(rng.integers(0, 4))]}".encode("utf-16-le")
    exchange(
        3, b"\x09\0\0\0\x48\0" + len(share).to_bytes(2, "little") + share, b"\x10\0\x01\0\0\0\0\0\0\0\0\0\xff\x01\x1f\0", tid=tree
    )
    for _ in range(int(rng.integers(1, 4))):
        path = f"{WORDS[int(rng.integers(0, len(WORDS)))]}\\report{rng.integers(0, 99)}.bin".encode("utf-16-le")
        size = int(rng.integers(500, 30_000))
        create = (
            b"\x39\0\0\0\x02\0\0\0"
            + bytes(16)
            + b"\x89\0\x12\0\0\0\0\0\x07\0\0\0\x01\0\0\0\x40\0\0\0\x78\0"
            + len(path).to_bytes(2, "little")
            + bytes(8)
            + path
        )
        exchange(
            5,
            create,
            b"\x59\0\0\0\x01\0\0\0" + bytes(32) + size.to_bytes(8, "little") * 2 + b"\x80\0\0\0\0\0\0\0" + file_id + bytes(8),
        )
        data = rng.bytes(size)
        read = b"\x31\0\x50\0" + size.to_bytes(4, "little") + bytes(8) + file_id + bytes(16) + b"\0"
        exchange(8, read, b"\x11\0\x50\0" + size.to_bytes(4, "little") + bytes(8) + data)
        exchange(6, b"\x18\0\0\0\0\0\0\0" + file_id, b"\x3c\0\0\0" + bytes(56))
        line.wait(float(rng.exponential(500.0)))
    finish(talk)


def _quic_hellos(rng: np.random.Generator) -> tuple[bytes, bytes]:
    """ClientHello and ServerHello as QUIC carries them: TLS 1.3 only, ALPN h3, transport parameters (RFC 9001, 8.2)."""
    family = tls.FAMILIES[int(rng.choice([0, 1, 5]))]
    parameters = b"\x01\x04" + quic_packets.number(30_000) + b"\x03\x02\x45\xc0" + b"\x0f\0"
    extra = tls.u16(57) + tls.vec(parameters, 2)
    hello = tls.client_hello(rng, family, host_name(rng), ("h3",), extra)
    return hello, tls.server_hello(rng, family.ciphers[0], 0x0304, "")


def quic(line: Conversation) -> None:
    """QUIC version 1: Initial packets that decrypt, then Handshake and short headers with random content."""
    rng = line.rng
    first_id, server_id = rng.bytes(8), rng.bytes(8)
    ours, theirs = (quic_packets.initial_keys(first_id, side) for side in ("client", "server"))
    hello, answer = _quic_hellos(rng)

    def handshake(to: bytes, own: bytes, size: int) -> bytes:
        head = b"\xe1" + quic_packets.VERSION + tls.vec(to, 1) + tls.vec(own, 1)
        return head + tls.u16(0x4000 | size) + rng.bytes(size)

    udp(line, 0, quic_packets.initial(ours, first_id, b"", 0, quic_packets.crypto(hello), 1200))
    line.turn()
    accept = b"\x02\0\0\0\0" + quic_packets.crypto(answer)  # an ACK of packet 0 goes first
    udp(line, 1, quic_packets.initial(theirs, b"", server_id, 0, accept) + handshake(b"", server_id, 1000))
    udp(line, 1, handshake(b"", server_id, int(rng.integers(600, 1100))))
    line.turn()
    udp(line, 0, quic_packets.initial(ours, server_id, b"", 1, b"\x02\0\0\0\0", 60) + handshake(server_id, b"", 1080))
    for _ in range(int(rng.integers(2, 14))):
        udp(line, 0, bytes((0x40 | int(rng.integers(0, 32)),)) + server_id + rng.bytes(int(rng.integers(24, 300))))
        line.turn()
        for _ in range(int(rng.integers(1, 5))):
            udp(line, 1, bytes((0x40 | int(rng.integers(0, 32)),)) + rng.bytes(int(rng.integers(100, 1220))))
        line.wait(float(rng.exponential(150.0)))


def ntp(line: Conversation) -> None:
    """An NTP exchange."""
    stamp = line.rng.bytes(8)
    udp(line, 0, b"\x23\0\x06\xec" + bytes(36) + stamp)
    line.turn()
    udp(line, 1, b"\x24\x02\x06\xec\0\0\x01\x20\0\0\x04\x10\x0a\0\0\x01" + line.rng.bytes(8) + stamp + line.rng.bytes(16))


def ping(line: Conversation) -> None:
    """A few echo requests a second apart, with answers."""
    payload = line.rng.bytes(56)
    for n in range(int(line.rng.integers(1, 9))):
        echo(line, 0, n + 1, payload)
        line.turn()
        echo(line, 1, n + 1, payload)
        line.wait(1000.0)


def arp(line: Conversation) -> None:
    """Who has, is at."""
    line.emit_arp(0)
    line.wait(0.2)
    line.emit_arp(1)


def refused(line: Conversation) -> None:
    """A connection refused, or one that gets no answer and is tried again."""
    TcpTalk(line, stamps=True).attempt(("rst", "none")[int(line.rng.integers(0, 2))], int(line.rng.integers(1, 4)))


def scan(line: Conversation) -> None:
    """One probe of a port scan: no answer, a reset, or half open."""
    answer = ("none", "none", "rst", "rst", "rst", "syn")[int(line.rng.integers(0, 6))]
    TcpTalk(line, stamps=False).attempt(answer)


def bulk(line: Conversation) -> None:
    """A large transfer over TLS, one way, with some loss."""
    rng = line.rng
    talk = talk_on(line, loss=0.004)
    tls.handshake(talk, rng, host_name(rng), (), tls.vec(tls.certificate(rng, "store.example", "Works"), 3))
    side = int(rng.integers(0, 2))
    for _ in range(int(rng.integers(10, 60))):
        talk.send(side, tls.opaque(rng, int(rng.integers(16_000, 65_000))))
        line.wait(float(rng.exponential(120.0)))
    finish(talk)


def steady(line: Conversation) -> None:
    """A connection that lives for minutes: small messages, keep-alives, now and then a larger one (databases, agents, etcd)."""
    rng = line.rng
    talk = talk_on(line)
    for _ in range(int(rng.integers(20, 80))):
        talk.send(0, rng.bytes(int(rng.integers(20, 400))))
        line.turn()
        talk.send(1, rng.bytes(int(rng.integers(40, 1500))))
        if rng.random() < 0.2:
            line.wait(2000.0)
            talk.keepalive(int(rng.integers(0, 2)))
        line.wait(float(rng.exponential(4000.0)))
    finish(talk)


def thin_tcp(line: Conversation) -> None:
    """Nothing but bare acknowledgements: every frame is 60 bytes (54, padded)."""
    talk = TcpTalk(line, stamps=False)
    for _ in range(int(line.rng.integers(6, 40))):
        talk.seq[0] += 6
        talk._segment(0, 16, line.rng.bytes(6))
        line.turn()
        talk._segment(1, 16)
        line.wait(float(line.rng.exponential(40.0)))


def thin_udp(line: Conversation) -> None:
    """Datagrams of 18 bytes: every frame is 60 bytes."""
    for _ in range(int(line.rng.integers(4, 30))):
        udp(line, int(line.rng.integers(0, 2)), line.rng.bytes(18))
        line.wait(float(line.rng.exponential(40.0)))


def syn_only(line: Conversation) -> None:
    """A single SYN: a one-packet flow."""
    TcpTalk(line, stamps=False).attempt("none")
