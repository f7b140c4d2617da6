"""Claims for tests: a few fields in small whole numbers, the rest as an importer would leave it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from workbench.records.arrow import arrow_schema

T0 = dt.datetime(2026, 11, 23, 9, 0, 0)
_MAPPED = 0xFFFF << 32 | 10 << 24


def moment(seconds: int | None) -> dt.datetime | None:
    """A time so many seconds after T0."""
    return None if seconds is None else T0 + dt.timedelta(seconds=seconds)


def seconds(when: dt.datetime | None) -> int | None:
    """The other way round."""
    return None if when is None else round((when - T0).total_seconds())


def claim(uid: str | None = None, last: int | None = 1, **fields: Any) -> dict[str, Any]:
    """A claim of 10.0.0.<last>, None: of no address. Times are seconds after T0."""
    row: dict[str, Any] = dict.fromkeys(arrow_schema("claims").names)
    row |= {"source_id": 1, "uid": uid, "kind": "pod", "origin": "csv", "confidence": 1.0}
    if last is not None:
        row |= {"ip": f"10.0.0.{last}", "hi": 0, "lo": _MAPPED | last}
    row |= fields
    return row | {name: moment(row[name]) for name in ("ts_from", "ts_to", "ts_seen") if isinstance(row[name], int)}


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of `claims` as the case gives them."""
    return pa.Table.from_pylist([dict(row) for row in rows], arrow_schema("claims"))
