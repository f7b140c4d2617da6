"""SMB 2 and 3 (MS-SMB2): requests, possibly several in one message, and their answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from workbench.decode.application.protocol import Malformed, Row
from workbench.decode.application.smb_names import DIALECTS, SMB2
from workbench.decode.application.smb_seen import Asked, Pipe, Seen, judged, name, named, unpack

MAGIC: Final = b"\xfeSMB"
_HEADER: Final = 64
_MOST_CHAINED: Final = 64
_RESPONSE, _ASYNC, _RELATED, _SIGNED = 0x1, 0x2, 0x4, 0x8
_PENDING: Final = 0x00000103
_TRANSCEIVE: Final = 0x0011C017
_NONE: Final = b"\xff" * 16
NEGOTIATE, SETUP, LOGOFF, TREE, UNTREE, CREATE, CLOSE, FLUSH, READ, WRITE, LOCK, IOCTL, CANCEL = range(13)
#: Where a request's body names the open file.
_FILE_AT: Final = {CLOSE: 8, FLUSH: 8, READ: 16, WRITE: 16, LOCK: 8, IOCTL: 8, 14: 8, 15: 8, 16: 24, 17: 16}


@dataclass(slots=True)
class _Unit:
    """One command. data: from its header on."""

    data: bytes
    status: int
    command: int
    flags: int
    number: int
    tree: int
    session: int

    def body(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers at an offset of the body. Raises Malformed."""
        return unpack(form, self.data, _HEADER + at)

    def buffer(self, at: int, form: str = "HH") -> bytes:
        """What the offset and length at `at` of the body describe, as far as it is there."""
        offset, size = self.body(form, at)
        return self.data[offset : offset + size] if offset >= _HEADER else b""

    @property
    def verb(self) -> str:
        """The command by name."""
        return SMB2[self.command] if self.command < len(SMB2) else f"command_{self.command}"


def message(seen: Seen, ts: int, data: bytes) -> list[Row]:
    """Reads the commands of one message. Raises Malformed."""
    rows: list[Row] = []
    at = 0
    before: _Unit | None = None
    for _ in range(_MOST_CHAINED):
        if len(data) - at < _HEADER:
            break
        status, command, _, flags, following = unpack("IHHII", data, at + 8)
        (number,) = unpack("Q", data, at + 24)
        (tree,) = unpack("I", data, at + 36)
        (session,) = unpack("Q", data, at + 40)
        if data[at : at + 4] != MAGIC:
            raise Malformed("SMB2: what follows in the message is no command")
        stop = at + following if following else len(data)
        unit = _Unit(data[at:stop], status, command, flags, number, tree, session)
        if flags & _ASYNC:
            unit.tree = 0xFFFFFFFF
        if flags & _RELATED and before is not None and not flags & _RESPONSE:
            unit.tree, unit.session = before.tree, before.session
        rows += _answer(seen, ts, unit) if flags & _RESPONSE else _request(seen, ts, unit)
        before = unit
        if following < _HEADER:
            break
        at += following
    return rows


def _request(seen: Seen, ts: int, unit: _Unit) -> list[Row]:
    asked = Asked(ts, (unit.verb,), bool(unit.flags & _SIGNED), seen.trees.get((unit.session, unit.tree)))
    if unit.command == CANCEL:  # is never answered, and names the request that it cancels
        return seen.count(asked, None)
    rows = seen.wait(unit.number, asked)
    if unit.command in _FILE_AT:
        at = _HEADER + _FILE_AT[unit.command]
        asked.handle = unit.data[at : at + 16]
        asked.pipe = seen.pipes.get(asked.handle)
    if unit.command == SETUP:
        asked.login = seen.sessions.get(unit.session) or seen.login()
        return rows + asked.login.token(ts, unit.buffer(12), cut=True)
    if unit.command == TREE:
        asked.share = name(unit.buffer(4))
    elif unit.command == CREATE:
        asked.opens = seen.wants(asked.share, name(unit.buffer(44)))
    elif unit.command == WRITE:
        offset, size = unit.body("HI", 2)
        asked.sent = size
        rows += seen.bound(asked.handle, unit.data[offset:])
        asked.pipe = seen.pipes.get(asked.handle)
        rows += _through(seen, asked.pipe, ts, 0, unit.data[offset:], size)
    elif unit.command == IOCTL and unit.body("I", 4) == (_TRANSCEIVE,):
        offset, size = unit.body("II", 24)
        asked.sent, asked.transceive = size, True
        rows += seen.bound(asked.handle, unit.data[offset:])
        asked.pipe = seen.pipes.get(asked.handle)
        rows += _through(seen, asked.pipe, ts, 0, unit.data[offset:], size)
    return rows


def _answer(seen: Seen, ts: int, unit: _Unit) -> list[Row]:
    seen.answered = True
    if unit.status == _PENDING and unit.flags & _ASYNC and unit.number in seen.waiting:
        return []
    asked = seen.waiting.pop(unit.number, None)
    if asked is None:
        asked = Asked(ts, (unit.verb,), bool(unit.flags & _SIGNED), seen.trees.get((unit.session, unit.tree)))
    rows: list[Row] = []
    received = 0
    try:
        if unit.command == NEGOTIATE:
            _agreed(seen, unit)
        elif unit.command == SETUP:
            rows += _logged_in(seen, ts, unit, asked)
        elif unit.command == READ and unit.status >> 30 != 3:
            offset, size = unit.body("B", 2)[0], unit.body("I", 4)[0]
            received = size
            rows += _through(seen, asked.pipe, ts, 1, unit.data[offset:], size)
        elif asked.transceive and unit.status >> 30 != 3:
            offset, size = unit.body("II", 32)
            received = size
            rows += _through(seen, asked.pipe, ts, 1, unit.data[offset:], size)
        elif unit.status == 0:
            rows += _succeeded(seen, unit, asked)
    finally:
        rows += seen.count(asked, named(unit.status), received)
    return rows


def _agreed(seen: Seen, unit: _Unit) -> None:
    if unit.status == 0:
        (revision,) = unit.body("H", 4)
        seen.dialect = DIALECTS.get(revision, f"0x{revision:04x}")
        seen.revision = revision


def _logged_in(seen: Seen, ts: int, unit: _Unit, asked: Asked) -> list[Row]:
    rows: list[Row] = []
    login = asked.login or seen.sessions.get(unit.session)
    if login is not None:
        seen.session(unit.session, login)
        with suppress(Malformed):  # the status says how it ended, whatever the token is
            rows += login.token(ts, unit.buffer(4), cut=True)
        rows += judged(login, unit.status)
    return rows


def _succeeded(seen: Seen, unit: _Unit, asked: Asked) -> list[Row]:
    if unit.command == TREE and asked.share is not None:
        seen.tree((unit.session, unit.tree), asked.share)
    elif unit.command == CREATE and asked.opens:
        handle = unit.data[_HEADER + 64 : _HEADER + 80]
        if len(handle) == 16:
            return seen.opened(handle, asked.opens)
    elif unit.command == CLOSE and asked.handle != _NONE:
        return seen.closed(asked.handle)
    elif unit.command == UNTREE:
        seen.trees.pop((unit.session, unit.tree), None)
    return []


def _through(seen: Seen, pipe: Pipe | None, ts: int, side: int, data: bytes, size: int) -> list[Row]:
    return seen.fed(pipe, ts, side, data[:size], size) if pipe else []
