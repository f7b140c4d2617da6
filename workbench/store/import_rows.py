"""Rows of any table from what a format gives: absent columns null, names of users hashed, addresses written as we write them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.records.arrow import arrow_schema
from workbench.records.columns import BY_NAME, Column, Privacy
from workbench.store.import_addresses import address
from workbench.store.import_flows import ip_text, mac_text

#: Text columns of addresses that are made the same everywhere.
_IPS: Final = ("ip", "src_ip", "dst_ip", "client_ip", "assigned_ip", "server_ip", "relay_ip", "local_ip", "remote_ip")
#: Names of people: the same person in other letters has the same hash, as in what packets say.
_PEOPLE: Final = ("user_hash", "client_hash", "cookie_hash")
_MACS: Final = ("mac", "src_mac", "dst_mac", "client_mac", "eth_src", "eth_dst")


class RowMaker:
    """Completes rows. key: the case's, for hashes of names."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def rows(self, table: str, given: pa.Table, **constants: Any) -> tuple[pa.RecordBatch, np.ndarray[Any, Any], dict[int, str]]:
        """Rows of the table, the places of the given rows that they are of, and which needed column the others lack, by place."""
        given = given.combine_chunks()
        schema, columns = arrow_schema(table), BY_NAME[table].columns
        made: dict[str, pa.Array] = {}
        for column, field in zip(columns, schema, strict=True):
            made[column.name] = self._column(table, column, field, given, constants)
        if table == "claims":
            made |= _halves(made["ip"])
        lacks: dict[int, str] = {}
        for column in columns:
            if not column.null and made[column.name].null_count:
                for at in np.flatnonzero(pc.is_null(made[column.name]).to_numpy(zero_copy_only=False)).tolist():
                    lacks.setdefault(at, column.name)
        batch = pa.RecordBatch.from_arrays([made[f.name] for f in schema], names=schema.names)
        kept = np.array([n for n in range(given.num_rows) if n not in lacks], np.int64) if lacks else np.arange(given.num_rows)
        return batch.take(pa.array(kept)) if lacks else batch, kept, lacks

    def _column(self, table: str, column: Column, field: pa.Field, given: pa.Table, constants: dict[str, Any]) -> pa.Array:
        count = given.num_rows
        if column.name in constants:
            return pa.array([constants[column.name]] * count, field.type)
        if column.name not in given.column_names:
            return pa.nulls(count, field.type)
        found = given.column(column.name)
        found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        if isinstance(found, pa.ChunkedArray):
            found = pa.concat_arrays(found.chunks) if found.num_chunks else pa.nulls(0, field.type)
        found = found.cast(field.type)
        if column.privacy is Privacy.HASHED:
            person = column.name in _PEOPLE
            return _read(found, lambda text: self._hash(text.casefold() if person else text))
        if column.name in _IPS or (table == "claims" and column.name == "ip"):
            return _read(found, ip_text)
        return _read(found, mac_text) if column.name in _MACS else found

    def _hash(self, text: str) -> str:
        from workbench.flows.table import keyed_hash

        return keyed_hash(self._key, text)


def _read(column: pa.Array, read: Any) -> pa.Array:
    coded = column.dictionary_encode()
    values = pa.array([read(value) for value in coded.dictionary.to_pylist()], pa.utf8())
    return values.take(coded.indices)


def _halves(ips: pa.Array) -> dict[str, pa.Array]:
    """hi and lo of addresses, two's complement; null where there is none."""
    halves = [address(text) if text is not None else None for text in ips.to_pylist()]
    signed = [None if h is None else [(n ^ 1 << 63) - (1 << 63) for n in h] for h in halves]
    return {name: pa.array([None if h is None else h[n] for h in signed], pa.int64()) for n, name in enumerate(("hi", "lo"))}
