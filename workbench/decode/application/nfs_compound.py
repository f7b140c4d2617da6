"""The operations of an NFSv4 COMPOUND (RFC 7530, 16; 8881, 18; 7862, 15).

An operation has no length of its own: to find the next one its arguments must be walked over. Nothing of them is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Operations of a compound that are named; servers allow far fewer.
MOST_OPERATIONS: Final = 64

_OPAQUE, _BITMAP, _OPEN, _CREATE, _LOCK, _CHANNELS, _UNKNOWN = -1, -2, -3, -4, -5, -6, -7
_ATTRIBUTES: Final = (_BITMAP, _OPAQUE)
_STATE: Final = 16

#: Operation: name, and its arguments: bytes of a fixed size, or one of the shapes above.
OPERATIONS: Final[dict[int, tuple[str, tuple[int, ...]]]] = {
    3: ("ACCESS", (4,)), 4: ("CLOSE", (4 + _STATE,)), 5: ("COMMIT", (12,)), 6: ("CREATE", (_CREATE, _OPAQUE, *_ATTRIBUTES)),
    7: ("DELEGPURGE", (8,)), 8: ("DELEGRETURN", (_STATE,)), 9: ("GETATTR", (_BITMAP,)), 10: ("GETFH", ()),
    11: ("LINK", (_OPAQUE,)), 12: ("LOCK", (24, _LOCK)), 13: ("LOCKT", (28, _OPAQUE)), 14: ("LOCKU", (8 + _STATE + 16,)),
    15: ("LOOKUP", (_OPAQUE,)), 16: ("LOOKUPP", ()), 17: ("NVERIFY", _ATTRIBUTES), 18: ("OPEN", (20, _OPAQUE, _OPEN)),
    19: ("OPENATTR", (4,)), 20: ("OPEN_CONFIRM", (_STATE + 4,)), 21: ("OPEN_DOWNGRADE", (_STATE + 12,)),
    22: ("PUTFH", (_OPAQUE,)), 23: ("PUTPUBFH", ()), 24: ("PUTROOTFH", ()), 25: ("READ", (_STATE + 12,)),
    26: ("READDIR", (24, _BITMAP)), 27: ("READLINK", ()), 28: ("REMOVE", (_OPAQUE,)), 29: ("RENAME", (_OPAQUE, _OPAQUE)),
    30: ("RENEW", (8,)), 31: ("RESTOREFH", ()), 32: ("SAVEFH", ()), 33: ("SECINFO", (_OPAQUE,)),
    34: ("SETATTR", (_STATE, *_ATTRIBUTES)), 35: ("SETCLIENTID", (8, _OPAQUE, 4, _OPAQUE, _OPAQUE, 4)),
    36: ("SETCLIENTID_CONFIRM", (16,)), 37: ("VERIFY", _ATTRIBUTES), 38: ("WRITE", (_STATE + 12, _OPAQUE)),
    39: ("RELEASE_LOCKOWNER", (8, _OPAQUE)), 40: ("BACKCHANNEL_CTL", (_UNKNOWN,)), 41: ("BIND_CONN_TO_SESSION", (24,)),
    42: ("EXCHANGE_ID", (8, _OPAQUE, 4, _UNKNOWN)), 43: ("CREATE_SESSION", (16, _CHANNELS, _CHANNELS, _UNKNOWN)),
    44: ("DESTROY_SESSION", (16,)), 45: ("FREE_STATEID", (_STATE,)), 46: ("GET_DIR_DELEGATION", (_UNKNOWN,)),
    47: ("GETDEVICEINFO", (24, _BITMAP)), 48: ("GETDEVICELIST", (24,)),
    49: ("LAYOUTCOMMIT", (_UNKNOWN,)), 50: ("LAYOUTGET", (36 + _STATE + 4,)), 51: ("LAYOUTRETURN", (_UNKNOWN,)),
    52: ("SECINFO_NO_NAME", (4,)), 53: ("SEQUENCE", (32,)), 54: ("SET_SSV", (_OPAQUE, _OPAQUE)),
    55: ("TEST_STATEID", (_UNKNOWN,)), 56: ("WANT_DELEGATION", (_UNKNOWN,)), 57: ("DESTROY_CLIENTID", (8,)),
    58: ("RECLAIM_COMPLETE", (4,)), 59: ("ALLOCATE", (_STATE + 16,)), 60: ("COPY", (_UNKNOWN,)),
    61: ("COPY_NOTIFY", (_UNKNOWN,)), 62: ("DEALLOCATE", (_STATE + 16,)), 63: ("IO_ADVISE", (_STATE + 16, _BITMAP)),
    64: ("LAYOUTERROR", (_UNKNOWN,)), 65: ("LAYOUTSTATS", (_UNKNOWN,)), 66: ("OFFLOAD_CANCEL", (_STATE,)),
    67: ("OFFLOAD_STATUS", (_STATE,)), 68: ("READ_PLUS", (_STATE + 12,)), 69: ("SEEK", (_STATE + 12,)),
    70: ("WRITE_SAME", (_UNKNOWN,)), 71: ("CLONE", (_STATE * 2 + 24,)),
}  # fmt: skip


class _End(Exception):  # noqa: N818  no error: what is there ends, or can't be walked over
    """The walk ends here."""


class _Walk:
    """A place in XDR data."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def number(self) -> int:
        if self.at + 4 > len(self._data):
            raise _End
        self.at += 4
        return int.from_bytes(self._data[self.at - 4 : self.at], "big")

    def skip(self, size: int) -> None:
        self.at += (size + 3) & ~3  # XDR counts in fours (RFC 4506, 3)

    def opaque(self) -> None:
        self.skip(self.number())

    def words(self) -> None:
        self.skip(4 * self.number())

    def open(self) -> None:
        """How a file is opened, and what claims it (RFC 7530, 16.16.2)."""
        if self.number() == 1:
            mode = self.number()
            if mode in (2, 3):
                self.skip(8)
            if mode != 2:
                self.attributes()
        claim = self.number()
        if claim == 2:
            self.skip(_STATE)
        if claim in (0, 2, 3):
            self.opaque()
        elif claim in (1, 5):
            self.skip(4 if claim == 1 else _STATE)
        elif claim > 6:
            raise _End

    def create(self) -> None:
        """The type of what is created: links say where to, devices their numbers."""
        kind = self.number()
        if kind == 5:
            self.opaque()
        elif kind in (3, 4):
            self.skip(8)

    def lock(self) -> None:
        """An owner who is new, or known by his state."""
        if self.number():
            self.skip(4 + _STATE + 4 + 8)
            self.opaque()
        else:
            self.skip(_STATE + 4)

    def attributes(self) -> None:
        self.words()
        self.opaque()

    def channels(self) -> None:
        self.skip(24)
        self.words()

    def unknown(self) -> None:
        raise _End


_SHAPES: Final[dict[int, Callable[[_Walk], None]]] = {
    _OPAQUE: _Walk.opaque, _BITMAP: _Walk.words, _OPEN: _Walk.open, _CREATE: _Walk.create, _LOCK: _Walk.lock,
    _CHANNELS: _Walk.channels, _UNKNOWN: _Walk.unknown,
}  # fmt: skip


def operations(data: bytes, at: int) -> list[str]:
    """Names of the operations of the COMPOUND arguments at data[at:], as many as can be told."""
    walk = _Walk(data, at)
    names: list[str] = []
    try:
        walk.opaque()  # a tag, which is anybody's
        walk.number()  # minor version
        for _ in range(min(walk.number(), MOST_OPERATIONS)):
            code = walk.number()
            name, shapes = OPERATIONS.get(code, (f"op_{code}", (_UNKNOWN,)))
            names.append(name)
            for shape in shapes:
                if shape >= 0:
                    walk.skip(shape)
                else:
                    _SHAPES[shape](walk)
    except _End:
        pass
    return names
