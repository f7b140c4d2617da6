"""What Python does for a connection whose messages the kernels read: logins, calls through pipes, SMB 1."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

from workbench.decode.application import dcerpc_calls as rpc
from workbench.decode.application import smb_one
from workbench.decode.application.logins import Logins
from workbench.decode.application.protocol import Context, Malformed, Row
from workbench.decode.application.smb_rows import MOST_PIPES
from workbench.decode.application.smb_seen import MORE_PROCESSING, Pipe, Seen
from workbench.decode.application.tally import Tally

_MOST_SESSIONS: Final = 32


class Connection:
    """One connection of SMB 2 or 3, or of SMB 1 before it, or alone."""

    __slots__ = ("_asked", "_calls", "_closed", "_context", "_one", "_pipes", "_sessions")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked: dict[int, Logins] = {}  # by the number of the message that waits
        self._sessions: dict[int, Logins] = {}
        self._pipes: dict[int, Pipe] = {}
        self._closed: deque[int] = deque()  # pipes whose last answers may still come
        self._calls: Tally | None = None
        self._one: Seen | None = None

    # -- logins -----------------------------------------------------------------------------------

    def asked(self, ts: int, number: int, session: int, token: bytes | None) -> list[Row]:
        """A session setup. token: None where the message was malformed. Raises Malformed."""
        login = self._asked[number] = self._sessions.get(session) or Logins(self._context, "smb")
        return [] if token is None else login.token(ts, token, cut=True)

    def told(self, ts: int, number: int | None, session: int, status: int, token: bytes | None) -> list[Row]:
        """Its answer. number: of the request, where that was seen."""
        login = self._asked.pop(number, None) if number is not None else None
        login = login or self._sessions.get(session)
        if login is None:
            return []
        if session not in self._sessions and len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session] = login
        rows: list[Row] = []
        if token is not None:
            with suppress(Malformed):  # the status says how it ended, whatever the token is
                rows = login.token(ts, token, cut=True)
        return rows if status == MORE_PROCESSING else rows + login.verdict(accepted=status == 0)

    def lost(self, number: int) -> None:
        """A session setup is no longer waited for."""
        self._asked.pop(number, None)

    # -- pipes ------------------------------------------------------------------------------------

    def opened(self, number: int, name: str) -> None:
        """A pipe was opened."""
        self._calls = self._calls or rpc.tally()
        self._pipes[number] = Pipe(name, rpc.Association(self._context, self._calls, name or None))

    def closed(self, number: int) -> list[Row]:
        """A pipe was closed; it is kept for what was asked before, as long as there are not too many."""
        pipe = self._pipes.get(number)
        self._closed.append(number)
        if len(self._closed) > MOST_PIPES:
            self._pipes.pop(self._closed.popleft(), None)
        return pipe.end() if pipe else []

    def fed(self, number: int, ts: int, side: int, data: bytes, size: int) -> tuple[list[Row], bool]:
        """Bytes went through a pipe: rows, and whether DCE/RPC is spoken on it."""
        pipe = self._pipes.get(number)
        return ([], False) if pipe is None else (pipe.feed(ts, side, data, size), pipe.spoken)

    # -- SMB 1, and the end -----------------------------------------------------------------------

    def one(self, ts: int, data: bytes, revision: int) -> list[Row]:
        """A message of SMB 1. revision: of SMB 2, if that was agreed on. Raises Malformed."""
        self._one = self._one or Seen(self._context)
        self._one.revision = revision
        return smb_one.message(self._one, ts, data)

    @property
    def one_spoken(self) -> bool:
        """Whether DCE/RPC was seen in SMB 1."""
        return self._one is not None and self._one.dcerpc

    def end(self, revision: int) -> list[Row]:
        """The connection is over: what was never judged or answered."""
        rows: list[Row] = []
        held = set(map(id, self._sessions.values()))
        for login in [*(login for login in self._asked.values() if id(login) not in held), *self._sessions.values()]:
            rows += login.end()
        for pipe in self._pipes.values():
            rows += pipe.end()
        rows += self._calls.end() if self._calls else []
        if self._one:
            self._one.revision = revision
            rows += self._one.end()
        return rows
