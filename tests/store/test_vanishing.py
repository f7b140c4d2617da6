"""A snapshot may go between being listed and being read: its source ended. Whoever opens the case then looks again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.rows import flows, source
from workbench.store import opening
from workbench.store.reader import CaseReader
from workbench.store.segments import list_open
from workbench.store.writer import CaseWriter


def test_a_snapshot_that_goes_while_the_case_is_opened_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CaseWriter(tmp_path / "case", live=True) as writer:
        writer.add_source(source(1, "live:eth0", kind="live"))
        writer.set_open(1, flows(3, 1))
        looks = []

        def going(case: object) -> object:
            found = list_open(writer.case)
            looks.append(len(found))
            if len(looks) == 1:
                writer.set_open(1, None)
            return found

        monkeypatch.setattr(opening, "list_open", going)
        with CaseReader(tmp_path / "case") as reader:
            assert reader.query("SELECT count(*) AS n FROM flows")["n"][0].as_py() == 0
        assert looks[:2] == [1, 0]
