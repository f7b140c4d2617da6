"""ONC RPC messages (RFC 5531)."""

from __future__ import annotations


def word(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def opaque(data: bytes) -> bytes:
    return word(len(data)) + data + bytes(-len(data) % 4)


def sys_auth(machine: bytes = b"node7") -> bytes:
    return word(1) + opaque(word(99) + opaque(machine) + word(1000, 1000, 1, 4))


def gss_auth(service: int) -> bytes:
    return word(6) + opaque(word(1, 0, 7, service) + opaque(b"ctx"))


def call(xid: int, program: int, version: int, procedure: int, args: bytes = b"", auth: bytes = word(0, 0)) -> bytes:
    return word(xid, 0, 2, program, version, procedure) + auth + word(0, 0) + args


def reply(xid: int, result: bytes = b"", accepted: int = 0) -> bytes:
    return word(xid, 1, 0, 0, 0, accepted) + result


def denied(xid: int, why: int = 1) -> bytes:
    return word(xid, 1, 1, why, 1)


def record(data: bytes, last: bool = True) -> bytes:
    """A fragment of a record, as over TCP."""
    return word(len(data) | (0x80000000 if last else 0)) + data


STATE = bytes(16)
FATTR = word(2, 0, 0x10) + opaque(b"attr")


def operation(code: int, *args: bytes) -> bytes:
    return word(code) + b"".join(args)


def compound(*operations: bytes, minor: int = 1, tag: bytes = b"t") -> bytes:
    return opaque(tag) + word(minor, len(operations)) + b"".join(operations)


#: Arguments of each operation that can be walked over.
OPERATIONS = {
    "SEQUENCE": operation(53, STATE, word(1, 0, 0, 1)),
    "PUTROOTFH": operation(24),
    "LOOKUP": operation(15, opaque(b"dir")),
    "PUTFH": operation(22, opaque(b"handle")),
    "OPEN": operation(18, word(0, 1, 0, 0, 5), opaque(b"owner"), word(1, 0), FATTR, word(0), opaque(b"name")),
    "CREATE": operation(6, word(5), opaque(b"to"), opaque(b"link"), FATTR),
    "LOCK": operation(12, bytes(24), word(1), bytes(24), bytes(8), opaque(b"owner")),
    "SETATTR": operation(34, STATE, FATTR),
    "WRITE": operation(38, STATE, bytes(12), opaque(b"content")),
    "READ": operation(25, STATE, bytes(12)),
    "RENAME": operation(29, opaque(b"a"), opaque(b"bc")),
    "CLOSE": operation(4, word(0), STATE),
    "GETATTR": operation(9, word(2, 1, 2)),
    "SETCLIENTID": operation(35, bytes(8), opaque(b"id"), word(0x40000000), opaque(b"tcp"), opaque(b"10.0.0.1.3.1"), word(1)),
    "GETFH": operation(10),
}
