"""SMB 1 (MS-CIFS, MS-SMB): requests, possibly chained, and their answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from workbench.decode.application import ntlm
from workbench.decode.application.protocol import Malformed, Row
from workbench.decode.application.smb_names import SMB1
from workbench.decode.application.smb_seen import Asked, Pipe, Seen, judged, name, named, unpack

MAGIC: Final = b"\xffSMB"
_HEADER: Final = 32
_MOST_CHAINED: Final = 8
_MOST_DIALECTS: Final = 32
_REPLY: Final = 0x80
_NT_STATUS, _UNICODE, _SIGNED = 0x4000, 0x8000, 0x0004
_CLOSE, _TRANSACTION, _OPEN_X, _READ_X, _WRITE_X = 0x04, 0x25, 0x2D, 0x2E, 0x2F
_TREE, _NEGOTIATE, _SETUP_X, _LOGOFF_X, _TREE_X, _CREATE_X, _CANCEL = 0x70, 0x72, 0x73, 0x74, 0x75, 0xA2, 0xA4
_CHAINED: Final = frozenset({0x24, _OPEN_X, _READ_X, _WRITE_X, _SETUP_X, _LOGOFF_X, _TREE_X, _CREATE_X})
_FID_AT: Final = {_CLOSE: 0, _READ_X: 4, _WRITE_X: 4, 0x0A: 0, 0x0B: 0}
_TRANSACT: Final = 0x0026


@dataclass(slots=True)
class _Block:
    """One command: its parameters begin at `words`, its bytes at `at`."""

    command: int
    words: int
    count: int
    at: int


@dataclass(slots=True)
class _Message:
    data: bytes
    status: int
    flags: int
    tid: int
    key: tuple[int, int]
    uid: int

    @property
    def unicode(self) -> bool:
        """Whether its names are UTF-16."""
        return bool(self.flags & _UNICODE)

    def word(self, block: _Block, form: str, at: int) -> int:
        """A number among a command's parameters. Raises Malformed where they are fewer."""
        if at + 1 > 2 * block.count:
            raise Malformed("SMB: a command with too few parameters")
        return unpack(form, self.data, block.words + at)[0]

    def string(self, at: int, stop: int | None = None) -> tuple[str, int]:
        """The name at an offset, up to its end or to `stop`; and where what follows begins."""
        if self.unicode:
            at += at % 2
        raw = self.data[at : stop if stop is not None else at + 4096]
        if self.unicode:
            end = next((n for n in range(0, len(raw) - 1, 2) if raw[n : n + 2] == b"\0\0"), len(raw))
            return name(raw[:end]), at + end + 2
        end = raw.find(b"\0")
        end = len(raw) if end < 0 else end
        return name(raw[:end], unicode=False), at + end + 1


def message(seen: Seen, ts: int, data: bytes) -> list[Row]:
    """Reads one message. Raises Malformed."""
    command, status, flags, more = unpack("BIBH", data, 4)
    tid, pid, uid, mid = unpack("HHHH", data, 24)
    if not more & _NT_STATUS and status:
        status = 0x1_0000_0000 | (status & 0xFF) << 16 | status >> 16
    said = _Message(data, status, more, tid, (pid, mid), uid)
    blocks = _blocks(data, command)
    if flags & _REPLY:
        return _answer(seen, ts, said, blocks)
    return _request(seen, ts, said, blocks)


def _blocks(data: bytes, command: int) -> list[_Block]:
    """The commands of a message, in order; the later ones must lie further behind."""
    found: list[_Block] = []
    at = _HEADER
    for _ in range(_MOST_CHAINED):
        (count,) = unpack("B", data, at)
        block = _Block(command, at + 1, count, at + 3 + 2 * count)
        found.append(block)
        if command not in _CHAINED or count < 2:
            break
        following, _, offset = unpack("BBH", data, block.words)
        if following == 0xFF or offset <= at or offset >= len(data):
            break
        command, at = following, offset
    return found


def _verb(command: int) -> str:
    return SMB1.get(command, f"command_0x{command:02x}")


def _request(seen: Seen, ts: int, said: _Message, blocks: list[_Block]) -> list[Row]:
    asked = Asked(ts, tuple(_verb(block.command) for block in blocks), bool(said.flags & _SIGNED), seen.trees.get(said.tid))
    if blocks[0].command == _CANCEL:
        return seen.count(asked, None)
    rows = seen.wait(said.key, asked)
    for block in blocks:
        rows += _ask(seen, ts, said, block, asked)
    return rows


def _ask(seen: Seen, ts: int, said: _Message, block: _Block, asked: Asked) -> list[Row]:
    if block.command in _FID_AT and block.count:
        asked.handle = said.word(block, "H", _FID_AT[block.command])
        asked.pipe = seen.pipes.get(asked.handle)
    if block.command == _NEGOTIATE:
        listed = said.data[block.at :].split(b"\0")[:_MOST_DIALECTS]
        seen.offered = [name(each[1:], unicode=False) for each in listed if each[:1] == b"\x02"]
    elif block.command == _SETUP_X:
        return _setup(seen, ts, said, block, asked)
    elif block.command == _TREE_X:
        asked.share = said.string(block.at + said.word(block, "H", 6))[0]
    elif block.command == _TREE:
        asked.share = _Message(said.data, 0, 0, 0, said.key, 0).string(block.at + 1)[0]
    elif block.command == _CREATE_X:
        at = block.at + (block.at % 2 if said.unicode else 0)
        asked.opens = seen.wants(asked.share, said.string(at, at + said.word(block, "H", 5))[0])
    elif block.command == _OPEN_X:
        asked.opens = seen.wants(asked.share, said.string(block.at)[0])
    elif block.command == _WRITE_X:
        size, offset = said.word(block, "H", 20), said.word(block, "H", 22)
        asked.sent = size | said.word(block, "H", 18) << 16
        return _through(seen, asked.pipe, ts, 0, said.data[offset:], asked.sent)
    elif block.command == _TRANSACTION and block.count >= 16 and said.word(block, "H", 28) == _TRANSACT:
        asked.pipe = seen.pipes.get(said.word(block, "H", 30))
        asked.sent, asked.transceive = said.word(block, "H", 22), True
        return _through(seen, asked.pipe, ts, 0, said.data[said.word(block, "H", 24) :], asked.sent)
    return []


def _setup(seen: Seen, ts: int, said: _Message, block: _Block, asked: Asked) -> list[Row]:
    asked.login = seen.sessions.get(said.uid) or seen.login()
    if block.count == 12:
        size = said.word(block, "H", 14)
        return asked.login.token(ts, said.data[block.at : block.at + size], cut=True)
    if block.count == 13:  # without a token: both responses and the names stand in the message itself
        lm, nt = said.word(block, "H", 14), said.word(block, "H", 16)
        user, at = said.string(block.at + lm + nt)
        domain, _ = said.string(at)
        asked.login.plain(
            ts, ntlm.Token(ntlm.AUTHENTICATE, domain=domain or None, user=user, version=ntlm.version(bool(user), lm, nt))
        )
    return []


def _answer(seen: Seen, ts: int, said: _Message, blocks: list[_Block]) -> list[Row]:
    asked = seen.waiting.pop(said.key, None)
    if asked is None:
        verbs = tuple(_verb(block.command) for block in blocks)
        asked = Asked(ts, verbs, bool(said.flags & _SIGNED), seen.trees.get(said.tid))
    rows: list[Row] = []
    received = 0
    try:
        for block in blocks:
            got, size = _told(seen, ts, said, block, asked)
            rows += got
            received += size
    finally:
        rows += seen.count(asked, _status(said.status), received)
    return rows


def _told(seen: Seen, ts: int, said: _Message, block: _Block, asked: Asked) -> tuple[list[Row], int]:
    """What one command of an answer says; and how many bytes were read with it."""
    if block.command == _SETUP_X:
        return _logged_in(seen, ts, said, block, asked), 0
    if said.status >> 30 & 3 == 3 or said.status >> 32:
        return [], 0
    if block.command == _NEGOTIATE and block.count:
        chosen = said.word(block, "H", 0)
        if chosen < len(seen.offered):
            seen.dialect = seen.offered[chosen]
    elif block.command in (_TREE_X, _TREE) and asked.share is not None:
        seen.tree(said.word(block, "H", 2) if block.command == _TREE else said.tid, asked.share)
    elif block.command in (_CREATE_X, _OPEN_X) and asked.opens and block.count > 3:
        return seen.opened(said.word(block, "H", 5 if block.command == _CREATE_X else 4), asked.opens), 0
    elif block.command == _CLOSE:
        return seen.closed(asked.handle), 0
    elif block.command == _READ_X and block.count >= 12:
        size = said.word(block, "H", 10) | said.word(block, "H", 14) << 16
        return _through(seen, asked.pipe, ts, 1, said.data[said.word(block, "H", 12) :], size), size
    elif block.command == _TRANSACTION and asked.transceive and block.count >= 10:
        size = said.word(block, "H", 12)
        return _through(seen, asked.pipe, ts, 1, said.data[said.word(block, "H", 14) :], size), size
    return [], 0


def _logged_in(seen: Seen, ts: int, said: _Message, block: _Block, asked: Asked) -> list[Row]:
    rows: list[Row] = []
    login = asked.login or seen.sessions.get(said.uid)
    if login is None:
        return []
    seen.session(said.uid, login)
    if block.count == 4:
        with suppress(Malformed):  # the status says how it ended, whatever the token is
            rows += login.token(ts, said.data[block.at : block.at + said.word(block, "H", 6)], cut=True)
    return rows + judged(login, said.status)


def _status(code: int) -> str:
    """A status by name; DOS errors (MS-CIFS 2.2.2.4) by class and number."""
    return f"DOS_{code >> 16 & 0xFF}_{code & 0xFFFF}" if code >> 32 else named(code)


def _through(seen: Seen, pipe: Pipe | None, ts: int, side: int, data: bytes, size: int) -> list[Row]:
    return seen.fed(pipe, ts, side, data[:size], size) if pipe else []
