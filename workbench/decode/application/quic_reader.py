"""The QUIC reader: Initial packets opened, the client's hello put in order and read as TLS reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application import quic_google
from workbench.decode.application.protocol import Malformed, Read
from workbench.decode.application.quic_packets import INITIAL, Header, Keys, crypto, headers, offered, version_name
from workbench.decode.application.tls_kernels import BAD, HALF, MOST_MESSAGE
from workbench.decode.application.tls_reader import Halves
from workbench.records.message import MESSAGE

#: Connections that are followed at a time; the oldest are told first.
MOST_CONNECTIONS: Final = 8_192
_MOST_TOLD: Final = 65_536  # remembered so that later datagrams are not taken for another connection
_WAIT: Final = 30_000_000_000  # ns
_OVER: Final = 1 << 62  # the time when neither messages nor ends of flows come: the source is over
#: Per connection: pieces of the hello, connection ids with keys, packets that no key opened.
_MOST_PIECES: Final = 128
_MOST_KEYS: Final = 3
_MOST_FAILED: Final = 8


@dataclass(slots=True)
class _Connection:
    """What is known of a connection until its row is told. side: who sent the first packet, taken for the client."""

    ts: int
    side: int
    version: int = 0
    server_version: str | None = None
    keys: list[Keys] = field(default_factory=list)
    pieces: dict[int, bytes] = field(default_factory=dict)
    held: int = 0
    failed: int = 0
    hello: bytes = b""
    sni: str | None = None
    user_agent: str | None = None

    @property
    def ready(self) -> bool:
        """Whether both sides have said what there is to learn."""
        return bool(self.hello) and self.server_version is not None

    def add(self, offset: int, data: bytes) -> None:
        """A piece of the handshake; the hello is whole once it reaches its own length without a hole."""
        if self.hello or offset + len(data) > MOST_MESSAGE or len(self.pieces) >= _MOST_PIECES:
            return
        if self.held + len(data) > 2 * MOST_MESSAGE or len(self.pieces.get(offset, b"")) >= len(data):
            return
        self.held += len(data)
        self.pieces[offset] = data
        joined = b""
        for start in sorted(self.pieces):
            if start > len(joined):
                break
            joined += self.pieces[start][len(joined) - start :]
        if len(joined) >= 4 and joined[0] == 1 and len(joined) >= 4 + int.from_bytes(joined[1:4], "big"):
            self.hello = joined[: 4 + int.from_bytes(joined[1:4], "big")]
            self.user_agent = quic_google.user_agent(self.hello)
            self.pieces.clear()
            self.keys.clear()


class QuicReader:
    """Connections of all flows of a source, until both sides were heard, the flow ended or half a minute passed."""

    def __init__(self) -> None:
        self._halves = Halves()
        self._open: dict[int, _Connection] = {}  # not told yet
        self._told: dict[int, None] = {}

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """One row a connection. Datagrams without a long header say nothing and cost nothing."""
        told = Read(seen=np.zeros(len(rows), np.uint8))
        here = np.flatnonzero((rows["size"] > 0) & (rows["at"] >= 0) & (rows["at"] + rows["size"] <= len(arena)))
        firsts = arena[rows["at"][here]]
        latest = int(rows["ts"].max()) if len(rows) else 0 if len(ended) else _OVER
        for place, first in zip(here.tolist(), firsts.tolist(), strict=True):
            row = rows[place]
            n = int(row["n"])
            known = self._open.get(n)
            if n in self._told or (known is not None and (known.ready or first & 0x80 == 0)):
                told.seen[place] = 1  # type: ignore[index]
                continue
            if first & 0x80 == 0 and first & 0x89 != 0x09:
                continue
            data = arena[int(row["at"]) : int(row["at"]) + int(row["size"])].tobytes()
            try:
                told.seen[place] = self._datagram(row, data)  # type: ignore[index]
            except Malformed:
                told.malformed += 1
        self._tell(told, ended, latest)
        return told

    def _datagram(self, row: Any, data: bytes) -> int:
        """Take in one datagram; 1 where it is QUIC's."""
        n, side = int(row["n"]), int(row["side"])
        old = quic_google.version(data)
        version = old if old is not None else int.from_bytes(data[1:5], "big") if data[0] & 0x80 else -1
        if version < 0 or len(data) < 7:
            return 0
        known = self._open.get(n)
        if known is None:
            known = self._open[n] = _Connection(int(row["ts"]), side if version else 1 - side)
        if version == 0:
            known.server_version = ",".join(version_name(one) for one in offered(data)) or None
            return 1
        if side != known.side:
            known.server_version = known.server_version or version_name(version)
            return 1
        known.version = known.version or version
        if old is not None:
            name, agent = quic_google.hello(data)
            known.sni, known.user_agent = known.sni or name, known.user_agent or agent
            return 1
        for header in headers(data):
            known.version = header.version
            if header.kind == INITIAL and not known.hello:
                self._initial(known, data, header)
        return 1

    @staticmethod
    def _initial(known: _Connection, data: bytes, header: Header) -> None:
        """Open an Initial packet with the keys that are there, else with those of its own id: the first, or one after a Retry."""
        if known.failed >= _MOST_FAILED:
            return
        payload = next((found for keys in known.keys if (found := keys.open(data, header)) is not None), None)
        fresh = all(keys.dcid != header.dcid or keys.version != header.version for keys in known.keys)
        if payload is None and fresh and len(known.keys) < _MOST_KEYS:
            keys = Keys(header.version, header.dcid)
            payload = keys.open(data, header)
            if payload is not None:
                known.keys.append(keys)
        if payload is None:
            known.failed += 1
            return
        for offset, piece in crypto(payload):
            known.add(offset, piece)

    def _tell(self, told: Read, ended: NDArray[np.int64], latest: int) -> None:
        """Fill the table with connections of which no more is to be learned, and forget those whose flow ended."""
        gone = set(ended.tolist())
        surplus = len(self._open) - MOST_CONNECTIONS
        done: list[tuple[int, _Connection]] = []
        for n, known in self._open.items():
            if known.ready or n in gone or known.ts < latest - _WAIT or surplus > 0:
                surplus -= 1
                done.append((n, known))
        if done:
            told.tables["quic"] = self._columns(told, done)
            self._halves.forget(np.empty(0, HALF))
        for n, _ in done:
            del self._open[n]
            self._told[n] = None
        for n in gone & self._told.keys():
            del self._told[n]
        for n in list(self._told)[: max(len(self._told) - _MOST_TOLD, 0)]:
            del self._told[n]

    def _columns(self, told: Read, done: list[tuple[int, _Connection]]) -> dict[str, Any]:
        rows = np.zeros(len(done), MESSAGE)
        at = 0
        for row, (_, known) in zip(rows, done, strict=True):
            row["at"], row["size"] = at, len(known.hello)
            at += len(known.hello)
        arena = np.frombuffer(b"".join(known.hello for _, known in done), np.uint8)
        halves = self._halves.read(rows, arena, records=False)
        told.malformed += int(((halves["flags"] & BAD) != 0).sum())
        sni, alpn, seen = self._halves.sni.values, self._halves.alpn.values, self._halves.prints.values
        names = [sni[i][0] if i >= 0 else known.sni for i, (_, known) in zip(halves["sni"].tolist(), done, strict=True)]
        prints = [seen[i] if i >= 0 else (None, None) for i in halves["print"].tolist()]
        texts = {
            "version": [version_name(known.version) if known.version else None for _, known in done],
            "sni": names,
            "alpn": [alpn[i] if i >= 0 else None for i in halves["alpn"].tolist()],
            "ja4": [f"q{ja4}" if ja4 else None for _, ja4 in prints],
            "ja3": [ja3 for ja3, _ in prints],
            "server_version": [known.server_version for _, known in done],
            "user_agent": [known.user_agent for _, known in done],
        }
        columns: dict[str, Any] = {name: pa.array(values, pa.string()) for name, values in texts.items()}
        columns["n"] = np.array([n for n, _ in done], np.int64)
        columns["ts"] = np.array([known.ts // 1000 for _, known in done], np.int64)
        return columns
