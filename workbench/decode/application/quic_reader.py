"""The QUIC reader: clients' Initial packets opened, their hellos put together and read as TLS reads them.

Kernels find the packets, make the keys and join the frames; in between, `cryptography` opens one packet a connection, and those
that follow only where the hello is longer than that.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.decode.application import quic_google
from workbench.decode.application.held import Held, among
from workbench.decode.application.protocol import Read
from workbench.decode.application.quic_hello import AT, MOST_PIECES, NAMED, SIZE, WHOLE_BY, join_hellos
from workbench.decode.application.quic_kernels import (
    CONNECTION,
    FAR,
    GOOGLE,
    LEAST,
    OFFERED,
    PACKET,
    SILENT,
    find_packets,
    follow,
)
from workbench.decode.application.quic_keys import BLOCK, CELLS, WORK
from workbench.decode.application.quic_opening import Opener
from workbench.decode.application.quic_packets import offered, version_name
from workbench.decode.application.tls_kernels import BAD
from workbench.decode.application.tls_reader import Halves
from workbench.decode.application.tls_seen import Spread
from workbench.records.message import MESSAGE

#: Connections that are followed at a time; the oldest are told first.
MOST_CONNECTIONS: Final = 8_192
_MOST_TOLD: Final = 65_536  # remembered so that later datagrams are not taken for another connection
_WAIT: Final = 30_000_000_000  # ns
_OVER: Final = 1 << 62  # the time when neither messages nor ends of flows come: the source is over

_BLANK: Final = np.zeros((), CONNECTION)
_BLANK["whole"] = FAR
_BLANK["server"] = SILENT
for _field in ("sni", "alpn", "print", "cert", "offer"):
    _BLANK[_field] = -1


class QuicReader:
    """Connections of all flows of a source, until both sides were heard, the flow ended or half a minute passed."""

    def __init__(self) -> None:
        self._halves = Halves()
        self._opener = Opener()
        self._open = Held(_BLANK)
        self._told = np.empty(0, np.int64)
        #: by flow, of the few that say so: versions offered, server name and client in the clear
        self._offers: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._agents: dict[int, str] = {}
        self._room = (np.zeros(BLOCK, np.uint8), np.zeros(CELLS, np.uint8), np.zeros(WORK, np.uint32))
        self._pieces = np.empty((MOST_PIECES, 3), np.int64)

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """One row a connection. Datagrams without a long header say nothing and cost nothing."""
        rows = np.ascontiguousarray(rows)
        told = Read(seen=np.zeros(len(rows), np.uint8))
        latest = int(rows["ts"].max()) if len(rows) else 0 if len(ended) else _OVER
        if len(rows):
            self._take(told, rows, arena)
        self._tell(told, ended, latest)
        return told

    def _take(self, told: Read, rows: NDArray[Any], arena: NDArray[np.uint8]) -> None:
        """Take in the datagrams of one call."""
        fresh = np.flatnonzero(~among(rows["n"], self._told))
        places = np.full(len(rows), -1, np.int64)
        places[fresh] = self._open.places(rows["n"][fresh])
        known, kinds = self._open.rows, np.empty(len(rows), np.uint8)
        total = int(rows["size"].sum(dtype=np.int64))
        packets, heads = np.empty(total // LEAST + 1, PACKET), np.empty(total, np.uint8)
        versions, lasts, lies = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64), np.zeros(len(rows), np.uint8)
        count = find_packets(rows, arena, places, known, packets, heads, kinds, versions, lasts, *self._room)
        self._read_hellos(told, packets[:count], arena, heads, lies)
        told.malformed += follow(rows, places, known, kinds, versions, lasts, lies, told.seen)
        for place in np.flatnonzero(kinds == GOOGLE).tolist():
            self._hear_google(int(rows["n"][place]), _bytes(rows, arena, place))
        for row in np.flatnonzero(known["offer"] >= 0).tolist():
            place = int(known["offer"][row])
            listed = _bytes(rows, arena, place)[int(lasts[place] - rows["at"][place]) :]
            self._offers[int(known["key"][row])] = ",".join(version_name(one) for one in offered(listed))
        known["offer"] = -1
        known["whole"][known["whole"] != FAR] = -1

    def _hear_google(self, n: int, data: bytes) -> None:
        name, agent = quic_google.hello(data)
        if name:
            self._names.setdefault(n, name)
        if agent:
            self._agents.setdefault(n, agent)

    # -- hellos -----------------------------------------------------------------------------------

    def _read_hellos(
        self, told: Read, packets: NDArray[Any], arena: NDArray[np.uint8], heads: NDArray[np.uint8], lies: NDArray[np.uint8]
    ) -> None:
        """Open packets as far as their hellos need it: of each connection the first, then the rest of those that want more."""
        known, bytes_ = self._open.rows, arena.data
        first = np.zeros(len(packets), bool)
        first[np.unique(packets["connection"], return_index=True)[1]] = True
        for wanted in (first, ~first):
            these = np.flatnonzero(wanted & (known["whole"][packets["connection"]] == FAR))
            if len(these):
                touched = self._opener.open(known, packets.take(these), bytes_, heads.data)
                self._join(told, touched, lies)

    def _join(self, told: Read, touched: list[int], lies: NDArray[np.uint8]) -> None:
        """Join the hellos of connections of which packets were opened."""
        known, opener = self._open.rows, self._opener
        parts, payloads, places = opener.held(known, touched)
        if not payloads:
            return
        data = np.frombuffer(b"".join(payloads), np.uint8)
        ends = np.cumsum([len(payload) for payload in payloads])
        wrong, joined = np.zeros(len(payloads), np.uint8), np.empty((len(parts), 4), np.int64)
        out = np.empty(len(data), np.uint8)
        join_hellos(data, ends, np.array(parts), self._pieces, out, wrong, joined)
        for one in np.flatnonzero(wrong).tolist():
            if places[one] >= 0:
                lies[places[one]] = 1
        whole = np.flatnonzero(joined[:, WHOLE_BY] >= 0)
        rows = np.zeros(len(whole), MESSAGE)
        rows["at"], rows["size"] = joined[whole, AT], joined[whole, SIZE]
        halves = self._halves.read(rows, out, records=False)
        told.malformed += int(((halves["flags"] & BAD) != 0).sum())
        mine = np.array(touched)[whole]
        for field in ("sni", "alpn", "print"):
            known[field][mine] = halves[field]
        known["whole"][mine] = np.array(places)[joined[whole, WHOLE_BY]]
        opener.forget(known["key"][mine].tolist())
        for i in np.flatnonzero(joined[whole, NAMED]).tolist():
            agent = quic_google.user_agent(_bytes(rows, out, i))
            if agent:
                self._agents[int(known["key"][mine[i]])] = agent

    # -- rows -------------------------------------------------------------------------------------

    def _tell(self, told: Read, ended: NDArray[np.int64], latest: int) -> None:
        """Fill the table with connections of which no more is to be learned, and forget those whose flow ended."""
        known = self._open.rows
        begun = known["begun"] != 0
        done = ((known["whole"] != FAR) & (known["server"] != SILENT)) | (known["ts"] < latest - _WAIT)
        done |= among(known["key"], ended)
        waiting = np.flatnonzero(begun & ~done)
        done[waiting[: max(int(begun.sum()) - MOST_CONNECTIONS, 0)]] = True
        gone = self._open.drop(done | ~begun)
        gone = gone.take(np.flatnonzero(gone["begun"]))
        if len(gone):
            told.tables["quic"] = self._columns(gone)
            numbers = gone["key"].tolist()
            self._opener.forget(numbers)
            for said in (self._offers, self._names, self._agents):
                for n in numbers if said else ():
                    said.pop(n, None)
            self._told = np.union1d(self._told, gone["key"])
        self._told = self._told[~among(self._told, ended)][-_MOST_TOLD:]
        self._halves.forget(self._open.rows)

    def _columns(self, gone: NDArray[Any]) -> dict[str, Any]:
        sni, alpn, seen = self._halves.sni.values, self._halves.alpn.values, self._halves.prints.values
        prints = Spread(gone["print"])
        columns: dict[str, Any] = {
            "n": gone["key"],
            "ts": gone["ts"] // 1000,
            "version": _versions(gone["version"]),
            "sni": Spread(gone["sni"]).column(lambda i: sni[i][0] if i >= 0 else None),
            "alpn": Spread(gone["alpn"]).column(lambda i: alpn[i] if i >= 0 else None),
            "ja4": prints.column(lambda i: f"q{seen[i][1]}" if i >= 0 and seen[i][1] else None),
            "ja3": prints.column(lambda i: seen[i][0] if i >= 0 else None),
            "server_version": _versions(gone["server"]),
            "user_agent": pa.nulls(len(gone), pa.string()),
        }
        numbers = gone["key"].tolist()
        if self._agents:
            columns["user_agent"] = pa.array([self._agents.get(n) for n in numbers], pa.string())
        if self._names:
            columns["sni"] = pc.coalesce(columns["sni"], pa.array([self._names.get(n) for n in numbers], pa.string()))
        if self._offers:
            offers = [
                self._offers[n] if version == OFFERED else None
                for version, n in zip(gone["server"].tolist(), numbers, strict=True)
            ]
            columns["server_version"] = pc.coalesce(pa.array(offers, pa.string()), columns["server_version"])
        return columns


def _versions(numbers: NDArray[np.int64]) -> pa.Array:
    """Versions by name; null where there is none."""
    unique, inverse = np.unique(numbers, return_inverse=True)
    names = [version_name(number) if number > 0 else None for number in unique.tolist()]
    return pa.array(names, pa.string()).take(pa.array(inverse))


def _bytes(rows: NDArray[Any], arena: NDArray[np.uint8], place: int) -> bytes:
    at = int(rows["at"][place])
    return arena[at : at + int(rows["size"][place])].tobytes()
