"""A filter as SQL that people read and the plain duckdb shell runs: values as literals, each safely quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workbench.filters.compiler import Filter

_PLACE: Final = re.compile(r"make_timestamp\(\?\)|\?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def shown_sql(made: Filter, columns: Sequence[str] = (), limit: int | None = None) -> str:
    """The SELECT that gives the filter's flows in the order in which they are listed.

    columns: names of `flows`, none for all. limit: at most so many.
    """
    params = iter(made.params)

    def one(match: re.Match[str]) -> str:
        value = next(params)
        return _moment(value) if match[0].startswith("make") else literal(value)

    most = "" if limit is None else f" LIMIT {limit}"
    condition = _PLACE.sub(one, made.sql)
    return f"SELECT {', '.join(columns) or '*'} FROM flows WHERE {condition} ORDER BY ts, flow_id{most}"


def literal(value: Any) -> str:
    """A value as an SQL literal. Characters that a terminal would act on are written as their number."""
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _text(str(value))


def _text(text: str) -> str:
    pieces = re.split(r"([^ -~\u00a1-\u02ff\u0370-\u058f])", text)
    made = []
    for n, piece in enumerate(pieces):
        if n % 2:
            made.append(f"chr({ord(piece)})")
        elif piece:
            made.append("'" + piece.replace("'", "''") + "'")
    if len(made) > 1:
        return f"concat({', '.join(made)})"
    return made[0] if made else "''"


def _moment(micros: int) -> str:
    moment = _EPOCH + timedelta(microseconds=micros)
    return f"TIMESTAMP '{moment.year:04d}-{moment:%m-%d %H:%M:%S.%f}'"
