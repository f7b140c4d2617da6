"""HTTP/1 (RFC 9110, 9112; 0.9 and 1.0 too): one row per request and its response, read many at a time.

What is kept of a head: method, path without query, Host, Server, User-Agent, Content-Type without parameters, status, sizes.
No other field, no cookie, no query, no body. A user and password before the host go too. Heads are looked at by kernels and
their texts copied once into the buffers of the Arrow columns; the Python here runs once a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Probe, Protocol, Read, Signature

if TYPE_CHECKING:
    import pyarrow as pa

#: An exchange that nothing was heard of for so long becomes a row as it is: long downloads keep their sizes, live rows come.
_HELD_NS: Final = 120 * 1_000_000_000
#: What open exchanges may hold; where more is open, all become rows as they are.
_MOST_OPEN: Final = 100_000
_MOST_HEAP: Final = 32 << 20
#: Texts of an exchange in the kernels' order.
_TEXTS: Final = ("method", "host", "path", "user_agent", "version", "request_type", "server", "content_type")


class HttpReader:
    """Pairs the requests and responses of all flows of a source."""

    def __init__(self, context: Context) -> None:
        from workbench.decode.application import http_kernels
        from workbench.decode.application.http_logins import HttpLogins

        self._kernels = http_kernels
        self._logins = HttpLogins(context)
        self._pool: NDArray[Any] = np.empty(0, http_kernels.EXCHANGE)
        self._spans = np.empty((0, 2 * len(_TEXTS)), np.int64)
        self._heap = np.empty(0, np.uint8)
        self._state = np.zeros(4, np.int64)  # exchanges open, bytes of their texts, rows, malformed

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """See `protocol.BatchReader`."""
        ended = np.ascontiguousarray(ended, np.int64)
        if not len(rows) and not self._state[0]:
            logins = self._logins.read(rows, arena, np.zeros(0, np.bool_), ended)
            return Read({**logins}, np.zeros(0, np.uint8), self._logins.malformed)
        self._make_room(rows)
        out = np.empty(len(self._pool), np.int64)
        seen = np.zeros(len(rows), np.uint8)
        flows = np.zeros((1 << max(4, (2 * len(self._pool)).bit_length()), 4), np.int64)
        oldest = int(rows["ts"].max()) - _HELD_NS if len(rows) else np.iinfo(np.int64).min
        self._state[2:] = 0
        rows = np.ascontiguousarray(rows)
        self._kernels.walk(rows, arena, ended, flows, self._pool, self._spans, self._heap, out, self._state, seen, oldest)
        done = out[: self._state[2]]
        if self._state[0] - len(done) > _MOST_OPEN or self._state[1] > _MOST_HEAP + 4 * int(rows["size"].sum()):
            done = self._all(done)
        table = self._table(done) if len(done) else None
        self._keep()
        logins = self._logins.read(rows, arena, (seen & self._kernels.AUTH_SEEN) != 0, ended)
        tables = {"http": table, **logins} if table else {**logins}
        return Read(tables, seen & np.uint8(self._kernels.SEEN), int(self._state[3]) + self._logins.malformed)

    def _make_room(self, rows: NDArray[Any]) -> None:
        used, heap = int(self._state[0]), int(self._state[1])
        pool = np.empty(used + len(rows), self._pool.dtype)
        pool[:used] = self._pool[:used]
        spans = np.empty((used + len(rows), self._spans.shape[1]), np.int64)
        spans[:used] = self._spans[:used]
        texts = np.empty(heap + 4 * int(rows["size"].sum()) + 16, np.uint8)  # what is not written to costs nothing
        texts[:heap] = self._heap[:heap]
        self._pool, self._spans, self._heap = pool, spans, texts

    def _all(self, done: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every exchange becomes a row: more are open than may be held."""
        pool = self._pool[: self._state[0]]
        rest = np.flatnonzero(pool["done"] == 0)
        pool["done"] = 1
        return np.concatenate([done, rest])

    def _keep(self) -> None:
        to = np.empty(int(self._state[1]), np.uint8)
        self._kernels.keep(self._pool, self._spans, self._heap, self._state, to)
        self._heap = to

    def _table(self, done: NDArray[np.int64]) -> dict[str, pa.Array | NDArray[Any]]:
        """Columns of the exchanges `done`."""
        pool = self._pool[done]
        asked, answered = pool["asked"], pool["answered"]
        first = np.where(asked >= 0, asked, answered)
        rtt = (answered - asked) // 1000
        timed = (asked >= 0) & (answered >= asked) & (rtt < 1 << 31)
        columns: dict[str, pa.Array | NDArray[Any]] = {"n": pool["n"].copy(), "ts": first // 1000}
        columns |= {name: self._text(done, text) for text, name in enumerate(_TEXTS)}
        columns["status"] = _numbers(pool["status"], pool["status"] >= 0)
        columns["src_body_bytes"] = _numbers(pool["request_body"], pool["request_body"] >= 0)
        columns["dst_body_bytes"] = _numbers(pool["answer_body"], pool["answer_body"] >= 0)
        columns["number"] = _numbers((pool["request"] + 1).astype(np.int32), asked >= 0)
        columns["rtt_us"] = _numbers(np.where(timed, rtt, 0).astype(np.int32), timed)
        return columns

    def _text(self, done: NDArray[np.int64], text: int) -> pa.Array:
        import pyarrow as pa

        n = len(done)
        starts, ends = self._spans[done, 2 * text], self._spans[done, 2 * text + 1]
        offsets = np.empty(n + 1, np.int32)
        data = np.empty(int((ends - starts).sum()), np.uint8)
        valid = np.zeros((n + 7) // 8, np.uint8)
        self._kernels.gather(done, self._spans, text, self._heap, offsets, data, valid)
        return pa.Array.from_buffers(pa.string(), n, [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(data)])


def _numbers(values: NDArray[Any], there: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, mask=~there)


def _reader(context: Context) -> BatchReader:
    return HttpReader(context)


#: Methods in use (IANA's registry, WebDAV, and what Windows sends): a direction that begins with one is asked for HTTP.
_METHODS: Final = (
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "QUERY",
    "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "SUBSCRIBE", "UNSUBSCRIBE",
    "NOTIFY", "POLL", "BPROPFIND", "RPC_IN_DATA", "RPC_OUT_DATA", "BITS_POST", "MERGE", "PURGE", "CHECKOUT", "M-SEARCH",
)  # fmt: skip
_PORTS: Final = (80, 8080, 8000, 3128, 8888, 8008)

PROTOCOL = Protocol(
    name="http",
    title="Hypertext Transfer Protocol 1",
    framing=Framing(Cut.HTTP, keep=8192),
    signatures=(
        Signature("tcp", b"HTTP/1."),
        *(Signature("tcp", f"{method} ".encode(), probe=Probe.HTTP) for method in _METHODS),
        Signature("tcp", probe=Probe.HTTP, ports=_PORTS),
    ),
    tables=("http", "ntlm", "kerberos"),
    ports=_PORTS,
    guests=("http2",),
    batch=_reader,
    reference="RFC 9110, 9112",
)
