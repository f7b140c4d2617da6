"""Writes SMB 1 and 2 messages in NetBIOS session packets, for tests of what reads them."""

from __future__ import annotations

import struct

RESPONSE, ASYNC, RELATED, SIGNED = 1, 2, 4, 8
NEGOTIATE, SETUP, LOGOFF, TREE, UNTREE, CREATE, CLOSE, FLUSH, READ, WRITE, LOCK, IOCTL, CANCEL = range(13)
HANDLE = b"handle" + b"\1" * 10
PENDING, MORE, DENIED = 0x103, 0xC0000016, 0xC0000022
TRANSCEIVE = 0x0011C017


def packet(*parts: bytes) -> bytes:
    whole = b"".join(parts)
    return struct.pack(">I", len(whole)) + whole


def two(
    command: int, body: bytes, number: int, *, status: int = 0, flags: int = 0, tree: int = 5, session: int = 9, next_: int = 0
) -> bytes:
    """One SMB 2 command without its packet."""
    head = struct.pack("<4sHHIHHII", b"\xfeSMB", 64, 1, status, command, 1, flags, next_)
    return head + struct.pack("<QIIQ", number, 0xFEFF, tree, session) + b"\0" * 16 + body


def ask(command: int, body: bytes, number: int, **more: int) -> bytes:
    return packet(two(command, body, number, **more))


def tell(command: int, body: bytes, number: int, status: int = 0, flags: int = 0, **more: int) -> bytes:
    return packet(two(command, body, number, status=status, flags=flags | RESPONSE, **more))


def chain(*commands: tuple[int, bytes, int, int]) -> bytes:
    """Commands (command, body, number, flags) in one message."""
    made = b""
    for place, (command, body, number, flags) in enumerate(commands):
        last = place == len(commands) - 1
        body += b"\0" * (-len(body) % 8)
        made += two(command, body, number, flags=flags, next_=0 if last else 64 + len(body))
    return packet(made)


def negotiated(revision: int) -> bytes:
    return struct.pack("<HHHH", 65, 1, revision, 0) + b"\0" * 56 + b"\0"


def setup(token: bytes) -> bytes:
    return struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 64 + 24, len(token), 0) + token


def set_up(token: bytes) -> bytes:
    return struct.pack("<HHHH", 9, 0, 64 + 8, len(token)) + token


def tree(path: str) -> bytes:
    raw = path.encode("utf-16-le")
    return struct.pack("<HHHH", 9, 0, 64 + 8, len(raw)) + raw


def create(name: str) -> bytes:
    raw = name.encode("utf-16-le")
    return struct.pack("<H", 57) + b"\0" * 42 + struct.pack("<HHII", 64 + 56, len(raw), 0, 0) + raw


def created(handle: bytes = HANDLE) -> bytes:
    return struct.pack("<H", 89) + b"\0" * 62 + handle + b"\0" * 8


def write(data: bytes, handle: bytes = HANDLE) -> bytes:
    return struct.pack("<HHIQ", 49, 64 + 48, len(data), 0) + handle + b"\0" * 16 + data


def read(handle: bytes = HANDLE) -> bytes:
    return struct.pack("<HBBIQ", 49, 0, 0, 4096, 0) + handle + b"\0" * 17


def was_read(data: bytes) -> bytes:
    return struct.pack("<HBBIII", 17, 64 + 16, 0, len(data), 0, 0) + data


def ioctl(data: bytes, code: int = TRANSCEIVE, handle: bytes = HANDLE) -> bytes:
    return struct.pack("<HHI", 57, 0, code) + handle + struct.pack("<IIIIIIII", 64 + 56, len(data), 0, 0, 0, 4096, 1, 0) + data


def ioctl_done(data: bytes, code: int = TRANSCEIVE, handle: bytes = HANDLE) -> bytes:
    return struct.pack("<HHI", 49, 0, code) + handle + struct.pack("<IIIIII", 0, 0, 64 + 48, len(data), 0, 0) + data


def close(handle: bytes = HANDLE) -> bytes:
    return struct.pack("<HHI", 24, 0, 0) + handle


def one(
    command: int,
    words: bytes,
    data: bytes = b"",
    *,
    mid: int = 1,
    status: int = 0,
    reply: bool = False,
    tid: int = 7,
    uid: int = 3,
    flags: int = 0xC000,
    after: bytes = b"",
) -> bytes:
    """One SMB 1 message; after: a chained block that the AndX offset in `words` points to."""
    head = struct.pack(
        "<4sBIBHH8sHHHHH", b"\xffSMB", command, status, 0x80 if reply else 0, flags, 0, b"", 0, tid, 0xFEFF, uid, mid
    )
    return packet(head, struct.pack("B", len(words) // 2), words, struct.pack("<H", len(data)), data, after)


def andx(rest: bytes, following: int = 0xFF, offset: int = 0) -> bytes:
    return struct.pack("<BBH", following, 0, offset) + rest


def block(words: bytes, data: bytes) -> bytes:
    """A chained command."""
    return struct.pack("B", len(words) // 2) + words + struct.pack("<H", len(data)) + data
