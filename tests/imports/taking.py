"""What tests of formats share: a few lines into a case, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.store.import_format import load_formats
from workbench.store.reader import CaseReader
from workbench.workflows.import_logs import import_logs
from workbench.workflows.requests import IndexRequest


class Taken:
    """One import. ledger: reason -> count; where: reason -> numbers of lines."""

    def __init__(self, folder: Path, form: str, *texts: str) -> None:
        paths = []
        for n, text in enumerate(texts):
            paths.append(folder / f"{form}-{n}.log")
            paths[-1].write_text(text)
        self.case = folder / "case"
        self.result = import_logs(IndexRequest(tuple(map(str, paths)), self.case, form=form))
        self.state = [source["state"] for source in self.result.sources]
        self.ledger: dict[str, int] = {}
        for line in self.result.ledger:
            self.ledger[line["reason"]] = self.ledger.get(line["reason"], 0) + line["count"]
        self.where = {line["reason"]: line["first_frames"] for line in self.result.ledger}
        first = texts[0].partition("\n")[0] if "\0" in texts[0] else texts[0]
        assert load_formats().recognise(first.encode()) == form  # as `open` and `index` find it

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with CaseReader(self.case) as reader:
            found: list[dict[str, Any]] = reader.query(sql).to_pylist()
        return found

    def flows(self, columns: str = "src_ip, src_port, dst_ip, dst_port, src_pkts, dst_pkts") -> list[tuple[Any, ...]]:
        """Those columns of all flows by time."""
        return [tuple(row.values()) for row in self.rows(f"SELECT {columns} FROM flows ORDER BY ts, flow_id")]

    def whole_case(self) -> bytes:
        """All bytes of all files, to look for what must not be there."""
        return b"".join(path.read_bytes() for path in self.case.rglob("*") if path.is_file())


def lines(*objects: Any) -> str:
    """Objects as JSON, one a line; text as it is."""
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in objects)
