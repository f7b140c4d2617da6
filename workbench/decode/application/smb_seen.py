"""What is held of a connection of SMB 1: trees, open pipes, sessions, requests that wait, and the counts."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from workbench.decode.application import dcerpc_calls as rpc
from workbench.decode.application.dcerpc_names import PIPES
from workbench.decode.application.logins import Logins
from workbench.decode.application.nt_status import status as status_name
from workbench.decode.application.ntlm import wide
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Row, text
from workbench.decode.application.tally import Tally

_MOST_TREES: Final = 256
_MOST_PIPES: Final = 64
_MOST_SESSIONS: Final = 32
MORE_PROCESSING: Final = 0xC0000016
_V = TypeVar("_V")


class Pipe:
    """An open named pipe: what is written and read is DCE/RPC, or is passed over."""

    def __init__(self, name: str, association: rpc.Association) -> None:
        self.name = name
        self._association = association
        self._sides = (rpc.Pieces(), rpc.Pieces())

    @property
    def spoken(self) -> bool:
        """Whether DCE/RPC was seen on it."""
        return self._association.seen

    def feed(self, ts: int, side: int, data: bytes, size: int) -> list[Row]:
        """The next `size` bytes that a side sent, of which `data` are the first. What is malformed in them ends with them."""
        rows: list[Row] = []
        for held, whole in self._sides[side].feed(data[:size], size):
            try:
                rows += self._association.pdu(ts, held, whole)
            except Malformed:
                continue
        return rows

    def end(self) -> list[Row]:
        """It was closed."""
        return self._association.end()


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
    handle: int = -1
    transceive: bool = False


class Seen:
    """The state of one connection."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.dialect: str | None = None
        self.offered: list[str] = []
        self.revision = 0  # of SMB 2 and 3, once it was agreed on: then the dialect is another's
        self.trees: dict[object, str] = {}
        self.pipes: dict[object, Pipe] = {}
        self.sessions: dict[object, Logins] = {}
        self.waiting: dict[object, Asked] = {}
        self.dcerpc = False
        self.calls = rpc.tally()
        columns = ("dialect", "command", "share", "pipe", "status", "version", "encrypted", "signed")
        self.counts = Tally("smb", columns, ("src_data_bytes", "dst_data_bytes"))

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
        pipe = asked.pipe.name if asked.pipe else asked.opens
        dialect = None if self.revision else self.dialect
        for place, command in enumerate(asked.commands):
            key = (dialect, command, asked.share, pipe, status, "1", False, asked.signed)
            rows += self.counts.add(asked.ts, key, *((asked.sent, received) if place == 0 else (0, 0)))
        return rows

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


def judged(login: Logins | None, status: int) -> list[Row]:
    """What a session setup's status says about who logs in."""
    if login is None or status == MORE_PROCESSING:
        return []
    return login.verdict(accepted=status == 0)


def unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    """Numbers, least significant byte first. Raises Malformed where they are not there."""
    if at < 0 or at + struct.calcsize("<" + form) > len(data):
        raise Malformed("SMB: a message without its fields")
    return struct.unpack_from("<" + form, data, at)


def name(raw: bytes, unicode: bool = True) -> str:
    """A name as it can be kept."""
    return wide(raw) if unicode else text(raw)


def named(code: int) -> str:
    """A status by name."""
    return status_name(code)


def _keep(held: dict[object, _V], key: object, value: _V, most: int) -> _V | None:
    """Keeps a value; the oldest that had to go for it."""
    oldest = None
    if key not in held and len(held) >= most:
        oldest = held.pop(next(iter(held)))
    held[key] = value
    return oldest
