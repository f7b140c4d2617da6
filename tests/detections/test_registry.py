"""Every shipped question is complete, runs on a case without a row and on all samples, and yields what its header says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.detections.found import findings_of
from workbench.detections.loader import load_library
from workbench.detections.question import FOLDERS, SEVERITIES, Question
from workbench.detections.runner import OPTIONAL, STANDARD, run_question
from workbench.store.reader import CaseReader
from workbench.store.views import queries_folder
from workbench.store.writer import CaseWriter

LIBRARY = load_library()
SHIPPED = {path.stem: path for folder in FOLDERS for path in sorted((queries_folder() / folder).glob("*.sql"))}
QUESTIONS = [question for question in LIBRARY.questions.values() if question.path in SHIPPED.values()]


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseReader]:
    """A case with every table and no row."""
    folder = tmp_path_factory.mktemp("empty")
    CaseWriter(folder).close()
    with CaseReader(folder) as reader:
        assert reader.query("SELECT * FROM flows").num_rows == 0
        yield reader


def test_no_shipped_file_is_refused() -> None:
    assert [str(one) for one in LIBRARY.refused] == []
    assert {question.id for question in QUESTIONS} == set(SHIPPED)
    assert sum(question.kind == "hunt" for question in QUESTIONS) >= 12


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_it_is_complete(question: Question) -> None:
    assert question.path.stem == question.id
    assert FOLDERS[question.path.parent.name] == question.kind
    assert question.severity in SEVERITIES
    assert question.title[0].isupper()
    assert len(question.description) > 80
    assert question.references
    assert question.false_positives
    assert all(len(text) >= 3 for text in (*question.references, *question.false_positives, *question.columns.values()))
    assert set(question.values()) == set(question.parameters)
    assert all(name in question.description or f"${name}" in question.sql for name in question.parameters)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_it_runs_on_a_case_without_a_row(question: Question, nothing: CaseReader) -> None:
    found = run_question(nothing, question)
    assert found.num_rows == 0
    own = {*STANDARD, *OPTIONAL} if question.kind == "detection" else set()
    assert set(question.columns) - own == set(found.schema.names) - own
    for field in (one for one in found.schema if one.name not in own):
        assert not str(field.type).startswith(("decimal", "month_day")), f"{field.name} is {field.type}: cast it"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_it_runs_with_numbers_that_a_person_may_write(question: Question, nothing: CaseReader) -> None:
    """Values arrive as text from a command line; small ones make most rows."""
    written = {"integer": "1", "number": "0.5", "duration": "1s", "prefixes": "0.0.0.0/0, ::/0"}
    params = {name: written[one.kind] for name, one in question.parameters.items() if one.kind in written}
    assert run_question(nothing, question, params).num_rows == 0


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_it_runs_on_all_samples(question: Question, sampled: CaseReader) -> None:
    found = run_question(sampled, question)
    if question.kind == "detection":
        kept, notes = findings_of(question, found, sampled.query("SELECT max(ts) AS ts FROM flows")["ts"][0].as_py())
        assert kept.num_rows == found.num_rows, notes
        known = set(sampled.query("SELECT flow_id FROM flows")["flow_id"].to_pylist())
        for row in found.to_pylist():
            assert set(row["flow_ids"] or ()) <= known


def test_the_page_says_how_one_is_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "detections.md").read_text()
    for name in (*STANDARD, *OPTIONAL, "prefixes", "duration", "false_positives", "--queries", "finding_flows"):
        assert f"`{name}`" in page, name
    for question in QUESTIONS:
        if question.kind == "hunt":
            assert f"| `{question.id}` |" in page
