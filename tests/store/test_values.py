"""Values seen, for completion: commonest first, never more than asked for."""

from pathlib import Path

import pytest

from tests.store.rows import batch, flow, source
from workbench.store import values
from workbench.store.reader import CaseReader
from workbench.store.values import seen_values
from workbench.store.writer import CaseWriter


@pytest.fixture
def reader(tmp_path: Path) -> CaseReader:
    states = ["SF"] * 3 + ["S0"] * 5 + ["REJ", None, "S'; --"]
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n, conn_state=state) for n, state in enumerate(states)]))
        writer.append("links", batch("links", [{"flow_id": 1, "conversation_id": 2, "cause": "half"}]))
        writer.update_source(1, state="ok")
    return CaseReader(tmp_path / "case")


def test_the_commonest_come_first(reader: CaseReader) -> None:
    assert seen_values(reader, "conn_state") == ["S0", "SF", "REJ", "S'; --"]
    assert seen_values(reader, "conn_state", "S", 2) == ["S0", "SF"]
    assert seen_values(reader, "conn_state", "S'") == ["S'; --"]
    assert seen_values(reader, "conn_state", "%") == []


def test_numbers_and_other_tables(reader: CaseReader) -> None:
    assert seen_values(reader, "dst_port") == ["443"]
    assert seen_values(reader, "dst_port", guard="(proto = 17)") == []
    assert seen_values(reader, "links.cause") == ["half"]
    with pytest.raises(KeyError):
        seen_values(reader, "links.nonesuch")


def test_rare_values_behind_the_sample_are_found(reader: CaseReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_SAMPLE", 4)
    assert seen_values(reader, "conn_state", "R") == ["REJ"]
    assert sorted(seen_values(reader, "conn_state")) == ["REJ", "S'; --", "S0", "SF"]
