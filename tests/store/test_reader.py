"""Questions of a case that can be stopped one by one."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.rows import batch, flow, source
from workbench.errors import CancelledError
from workbench.store.reader import CaseReader, Question
from workbench.store.writer import CaseWriter

SLOW = "SELECT count(*) FROM range(100000000) a, range(1000) b WHERE (a.range * b.range) % 7 = 3"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CaseReader]:
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n) for n in range(5)]))
    with CaseReader(tmp_path / "case") as opened:
        yield opened


def test_a_stopped_question_leaves_the_others_running(reader: CaseReader) -> None:
    ended: dict[str, str] = {}

    def ask(name: str, question: Question) -> None:
        try:
            question.query(SLOW)
        except CancelledError:
            ended[name] = "stopped"

    questions = {name: reader.question() for name in ("one", "other")}
    threads = {name: threading.Thread(target=ask, args=(name, questions[name])) for name in questions}
    for thread in threads.values():
        thread.start()
    while threads["one"].is_alive():
        questions["one"].stop()
        threads["one"].join(0.05)
    assert ended == {"one": "stopped"}
    assert threads["other"].is_alive()
    assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 5}]
    while threads["other"].is_alive():
        questions["other"].stop()
        threads["other"].join(0.05)
    assert ended["other"] == "stopped"


def test_a_stopped_question_stays_stopped(reader: CaseReader) -> None:
    question = reader.question()
    assert question.query("SELECT ? AS n", [3]).to_pylist() == [{"n": 3}]
    question.stop()
    assert question.stopped
    with pytest.raises(CancelledError):
        question.query("SELECT 1")
    assert reader.question().query("SELECT 1 AS n").to_pylist() == [{"n": 1}]


def test_a_question_sees_what_came_to_the_case(reader: CaseReader) -> None:
    question = reader.question()
    assert question.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 5}]
    with CaseWriter(reader.case.root) as writer:
        writer.add_source(source(2))
        writer.append("flows", batch("flows", [flow(n, source_id=2) for n in range(4)]))
    reader.refresh()
    assert question.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 9}]
