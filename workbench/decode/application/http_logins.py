"""NTLM and Kerberos in the fields of HTTP heads (RFC 4559): tokens of a connection, and the answer that judges them.

Only the few messages with such a field, and those of flows in which one is open, come here; the rest stays with the kernels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.logins import Logins, header_token
from workbench.decode.application.protocol import Context, Malformed, Row

#: Flows whose authentication is followed at a time; past that the oldest is told as it is.
MOST_LOGINS: Final = 1_000
_FIELDS: Final = (b"authorization", b"proxy-authorization", b"www-authenticate", b"proxy-authenticate")
_REFUSED: Final = (401, 407)
_CHALLENGE: Final = b"NTLMSSP\0\x02"


def tokens(head: bytes) -> list[bytes]:
    """Tokens in a head's fields."""
    found = []
    for line in head.split(b"\n"):
        name, _, value = line.partition(b":")
        if name.lower() in _FIELDS and (token := header_token(value)):
            found.append(token)
    return found


def status_of(head: bytes) -> int:
    """The status of a response; 0 of a request."""
    parts = head[:32].split(None, 2)
    return int(parts[1]) if head.startswith(b"HTTP/") and len(parts) > 1 and parts[1][:3].isdigit() and len(parts[1]) == 3 else 0


class HttpLogins:
    """Follows the authentications of all flows of a source."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: OrderedDict[int, Logins] = OrderedDict()
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.malformed = 0

    def read(
        self, rows: NDArray[Any], arena: NDArray[np.uint8], auth: NDArray[np.bool_], ended: NDArray[np.int64]
    ) -> dict[str, dict[str, Any]]:
        """Columns of the tables that got rows. auth: which messages carry a token."""
        self.malformed = 0
        if auth.any() or self._open:
            concerned = np.union1d(rows["n"][auth], np.fromiter(self._open, np.int64, len(self._open)))
            for row in rows[np.isin(rows["n"], concerned) & (rows["size"] > 0)]:
                at = int(row["at"])
                self._head(int(row["n"]), int(row["ts"]) // 1000, arena[at : at + int(row["size"])].tobytes())
        if self._open:
            for n in ended[np.isin(ended, np.fromiter(self._open, np.int64, len(self._open)))].tolist():
                self._end(n)
        told, self._rows = self._rows, {}
        from workbench.decode.application.read_columns import columns_of  # Arrow: loaded where there is a row

        return {table: columns_of(table, found) for table, found in told.items()}

    def _head(self, n: int, ts: int, head: bytes) -> None:
        found = tokens(head)
        logins = self._open.get(n)
        if logins is None:
            if not found:
                return
            if len(self._open) >= MOST_LOGINS:
                self._end(next(iter(self._open)))
            logins = self._open[n] = Logins(self._context, "http")
        for token in found:
            self._collect(n, partial(logins.token, ts, token))
        status = status_of(head)
        if status >= 200 and not any(_CHALLENGE in token for token in found):
            self._collect(n, partial(logins.verdict, status not in _REFUSED))

    def _end(self, n: int) -> None:
        logins = self._open.pop(n, None)
        if logins is not None:
            self._collect(n, logins.end)

    def _collect(self, n: int, ask: Callable[[], list[Row]]) -> None:
        try:
            for table, row in ask():
                self._rows.setdefault(table, []).append({"n": n, **row})
        except Malformed:
            self.malformed += 1
