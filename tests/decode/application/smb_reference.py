"""SMB 2 and 3 once more, one object a message: what the kernels must agree with. Plain, and slow."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from workbench.decode.application import dcerpc_calls as rpc
from workbench.decode.application import smb_one
from workbench.decode.application.dcerpc_names import PIPES
from workbench.decode.application.logins import Logins
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Message, Row
from workbench.decode.application.smb_names import DIALECTS, SMB2
from workbench.decode.application.smb_seen import Pipe, judged, name, named, unpack
from workbench.decode.application.smb_seen import Seen as One
from workbench.decode.application.tally import Tally

_V = TypeVar("_V")
_MAGIC: Final = b"\xfeSMB"
_MOST_TREES, _MOST_PIPES, _MOST_SESSIONS = 256, 64, 32
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
class Asked:
    """A request that waits for its answer. commands: several where SMB1 chains them."""

    ts: int
    commands: tuple[str, ...]
    signed: bool
    share: str | None = None
    opens: str | None = None  # the pipe that it wants to open
    pipe: Pipe | None = None  # the open pipe that it is about
    login: Logins | None = None
    sent: int = 0
    handle: bytes | int = b""
    transceive: bool = False
    one: bool = False  # SMB 1


class Seen:
    """The state of one connection."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.dialect: str | None = None
        self.offered: list[str] = []
        self.revision = 0  # of SMB 2 and 3, once it was agreed on
        self.trees: dict[object, str] = {}
        self.pipes: dict[object, Pipe] = {}
        self.sessions: dict[object, Logins] = {}
        self.waiting: dict[object, Asked] = {}
        self.answered = False  # whether the server is heard at all
        self.dcerpc = False
        self.calls = rpc.tally()
        columns = ("dialect", "command", "share", "pipe", "status", "version", "encrypted", "signed")
        self.counts = Tally("smb", columns, ("src_data_bytes", "dst_data_bytes"))

    @property
    def version(self) -> str:
        """2 or 3, for messages that are not SMB 1's."""
        return "3" if self.revision >= 0x0300 else "2"

    def login(self) -> Logins:
        """For a session that begins."""
        return Logins(self._context, "smb")

    def session(self, number: object, login: Logins) -> None:
        """A session has got its number."""
        _keep(self.sessions, number, login, _MOST_SESSIONS)

    def tree(self, number: object, share: str) -> None:
        """A share was connected."""
        _keep(self.trees, number, share, _MOST_TREES)

    def opened(self, handle: object, name: str) -> list[Row]:
        """A pipe was opened."""
        self.closed(handle)
        pipe = Pipe(name, rpc.Association(self._context, self.calls, name or None))
        oldest = _keep(self.pipes, handle, pipe, _MOST_PIPES)
        return oldest.end() if oldest else []

    def bound(self, handle: object, data: bytes) -> list[Row]:
        """Bytes were written to a handle that nobody was heard to open, since the server is not heard: a tap on one side only.

        What begins with a bind is a pipe; of which name, the last request to open one says, if any does.
        """
        if self.answered or handle in self.pipes or data[:1] != b"\x05" or data[2:3] != b"\x0b":
            return []
        return self.opened(handle, next((asked.opens for asked in reversed(self.waiting.values()) if asked.opens), ""))

    def closed(self, handle: object) -> list[Row]:
        """A pipe, or a file, was closed."""
        pipe = self.pipes.pop(handle, None)
        return pipe.end() if pipe else []

    def fed(self, pipe: Pipe, ts: int, side: int, data: bytes, size: int) -> list[Row]:
        """Bytes went through a pipe."""
        rows = pipe.feed(ts, side, data, size)
        self.dcerpc |= pipe.spoken
        return rows

    def wants(self, share: str | None, name: str) -> str | None:
        """The pipe that a name opens on a share; None where it is a file. Where the share was not seen, a pipe by its name."""
        bare = name.lstrip("\\")
        if bare[:5].upper() == "PIPE\\":
            bare = bare[5:]
        if share is None:
            return bare if bare.lower() in PIPES else None
        return bare or None if share.upper().endswith("IPC$") else None

    def wait(self, key: object, asked: Asked) -> list[Row]:
        """A request waits for its answer."""
        again = self.waiting.pop(key, None)
        rows = self.count(again, None) if again else []
        oldest = _keep(self.waiting, key, asked, MOST_WAITING)
        return rows + (self.count(oldest, None) if oldest else [])

    def count(self, asked: Asked, status: str | None, received: int = 0) -> list[Row]:
        """A request is done with; status None: unanswered."""
        rows: list[Row] = []
        pipe = asked.pipe.name or None if asked.pipe else asked.opens
        version = "1" if asked.one else self.version
        dialect = self.dialect if asked.one == (self.revision == 0) else None
        for place, command in enumerate(asked.commands):
            key = (dialect, command, asked.share, pipe, status, version, False, asked.signed)
            rows += self.counts.add(asked.ts, key, *((asked.sent, received) if place == 0 else (0, 0)))
        return rows

    def sealed(self, ts: int, command: str) -> list[Row]:
        """A message of which only the outer header can be read."""
        key = (self.dialect if self.revision else None, command, None, None, None, self.version, command == "ENCRYPTED", None)
        return self.counts.add(ts, key, 0, 0)

    def end(self) -> Iterable[Row]:
        """The connection is over."""
        rows: list[Row] = []
        for asked in self.waiting.values():
            rows += self.count(asked, None)
            if asked.login and asked.login not in self.sessions.values():
                rows += asked.login.end()
        for login in self.sessions.values():
            rows += login.end()
        for pipe in self.pipes.values():
            rows += pipe.end()
        self.waiting.clear()
        self.sessions.clear()
        self.pipes.clear()
        return rows + self.counts.end() + self.calls.end()


def _keep(held: dict[object, _V], key: object, value: _V, most: int) -> _V | None:
    """Keeps a value; the oldest that had to go for it."""
    oldest = None
    if key not in held and len(held) >= most:
        oldest = held.pop(next(iter(held)))
    held[key] = value
    return oldest


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


def smb_two(seen: Seen, ts: int, data: bytes) -> list[Row]:
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
        if data[at : at + 4] != _MAGIC:
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


class SmbReader:
    """One connection."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._seen = Seen(context)
        self._one = One(context)

    def message(self, message: Message) -> list[Row]:
        """One NetBIOS session packet: four bytes of its header, then SMB. Raises Malformed."""
        data = message.data[4:]
        if message.data[:1] != b"\0":
            if message.data[:1] and 0x81 <= message.data[0] <= 0x85:
                return []
            raise Malformed("SMB: no session packet begins here")
        magic = data[:4]
        if magic not in (smb_one.MAGIC, _MAGIC, b"\xfdSMB", b"\xfcSMB"):
            raise Malformed("SMB: no message in a session packet")
        self.services = self.services or ["smb"]
        try:
            if magic == smb_one.MAGIC:
                self._one.revision = self._seen.revision
                return smb_one.message(self._one, message.ts, data)
            if magic == _MAGIC:
                return smb_two(self._seen, message.ts, data)
            return self._seen.sealed(message.ts, "ENCRYPTED" if magic == b"\xfdSMB" else "COMPRESSED")
        finally:
            if self._seen.dcerpc or self._one.dcerpc:
                self.services = ["smb", "dcerpc"]

    def end(self) -> list[Row]:
        """Everything that was counted, and what was never answered."""
        self._one.revision = self._seen.revision
        return [*self._seen.end(), *self._one.end()]
