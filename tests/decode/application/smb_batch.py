"""The batch reader of SMB as if it read one flow a message at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.decode.application.protocol import Context, Malformed, Message, Read, Row
from workbench.decode.application.smb_reader import SmbReader
from workbench.records.message import MESSAGE


def rows_of(read: Read) -> list[Row]:
    """Rows, each a table's name and its columns; a flow's number stays in them as n."""
    made: list[Row] = []
    for table, columns in read.tables.items():
        lists: dict[str, list[Any]] = {
            name: column.tolist() if isinstance(column, np.ndarray) else column.to_pylist() for name, column in columns.items()
        }
        made += [(table, dict(zip(lists, values, strict=True))) for values in zip(*lists.values(), strict=True)]
    return made


class OneFlow:
    """One flow of such a reader. Malformed is raised as a reader of one flow would."""

    def __init__(self, context: Context) -> None:
        self.services: list[str] = []
        self._reader = SmbReader(context)

    def message(self, message: Message) -> list[Row]:
        """Hands over one message. Rows mostly come at the end."""
        row = np.zeros(1, MESSAGE)
        row["n"], row["ts"], row["size"], row["whole"] = 7, message.ts * 1000, len(message.data), message.whole
        read = self._reader.read(row, np.frombuffer(message.data, np.uint8), np.empty(0, np.int64))
        if read.seen is not None and read.seen[0] and "smb" not in self.services:
            self.services.append("smb")
        if "dcerpc" in read.also and "dcerpc" not in self.services:
            self.services.append("dcerpc")
        if read.malformed:
            raise Malformed("said by the batch reader")
        return _plain(read)

    def end(self) -> list[Row]:
        """The flow is over."""
        return _plain(self._reader.read(np.empty(0, MESSAGE), np.empty(0, np.uint8), np.array([7])))


def _plain(read: Read) -> list[Row]:
    rows = rows_of(read)
    for _, values in rows:
        del values["n"]
    return rows
