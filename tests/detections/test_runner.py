"""A question runs within the walls of a person's query, its parameters bound, its columns checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.rows import index
from workbench.detections.parameters import Parameter
from workbench.detections.question import Question
from workbench.detections.runner import run_question
from workbench.errors import CancelledError, QueryError
from workbench.store.reader import CaseReader

DETECTION = """
SELECT src_ip AS subject, NULL AS object, 0.5 AS score, min(ts) AS ts_first, max(ts) AS ts_last,
       list(flow_id ORDER BY ts)[1:1000] AS flow_ids, count(*) AS flows, 'many' AS why, sum(src_bytes)::BIGINT AS sent
FROM flows GROUP BY ALL
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseReader]:
    folder = tmp_path_factory.mktemp("case")
    index(folder, 50)
    with CaseReader(folder) as reader:
        yield reader


def question(sql: str, columns: dict[str, str] | None = None, kind: str = "hunt", **parameters: object) -> Question:
    kinds = {int: "integer", list: "prefixes", str: "text"}
    made = {name: Parameter(name, kinds[type(v)], v, "x") for name, v in parameters.items()}  # type: ignore[arg-type]
    about = columns if columns is not None else {"n": "how many"}
    return Question("mine", kind, "", "", "low", (), made, about, ("r",), ("f",), sql, Path("mine.sql"))  # type: ignore[arg-type]


def test_parameters_are_bound_not_pasted(case: CaseReader) -> None:
    asked = question("SELECT count(*) AS n FROM flows WHERE src_ip <> $who", who="x' OR 1=1 --")
    assert run_question(case, asked)["n"].to_pylist() == [50]
    assert run_question(case, asked, {"who": "10.0.0.1"})["n"].to_pylist() == [49]


def test_prefixes_find_addresses(case: CaseReader) -> None:
    sql = "SELECT count(*) AS n FROM flows WHERE len(list_filter($inside, lambda p: src_addr BETWEEN p.low AND p.high)) > 0"
    asked = question(sql, inside=["10.0.0.0/8"])
    assert run_question(case, asked)["n"].to_pylist() == [50]
    assert run_question(case, asked, {"inside": "10.0.0.8/29, fd00::/8"})["n"].to_pylist() == [0]
    assert run_question(case, asked, {"inside": ""})["n"].to_pylist() == [0]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT count(*) AS n FROM read_csv('/etc/passwd')", r"read_csv\(\) is not allowed"),
        ("SELECT count(*) AS n FROM '/etc/passwd'", "is no table of the case"),
        ("SELECT 1 AS n; SELECT 2 AS n", "a query is one statement, this is 2"),
        ("DROP TABLE flows", "cannot be checked"),
        ("COPY flows TO '/tmp/x.csv'", "cannot be checked"),
        ("WITH x AS (DELETE FROM flows RETURNING 1) SELECT count(*) AS n FROM x", "not allowed|cannot be checked"),
        ("SELECT getenv('HOME') AS n", r"getenv\(\) is not allowed"),
        ("SELECT 1 AS n) FROM flows; DROP TABLE flows; (SELECT 1", "cannot be checked"),
        ("SELECT $other AS n", "the query uses .other, and no parameter has that name"),
        ("SELECT ? AS n", "the query uses .1, and no parameter has that name"),
        ("SELECT nothing AS n FROM flows", "nothing"),
        ("SELECT 1 AS m", "its header names n, which its SELECT does not yield"),
        ("SELECT 1 AS n, 2 AS m", "its SELECT yields m, which its header does not name"),
        ("SELECT '\0' AS n", "NUL"),
    ],
)
def test_what_is_refused_is_told_with_the_questions_name(case: CaseReader, sql: str, reason: str) -> None:
    with pytest.raises(QueryError, match=f"mine: .*({reason})"):
        run_question(case, question(sql))


def test_a_detection_yields_what_every_detection_does(case: CaseReader) -> None:
    found = run_question(case, question(DETECTION, {"sent": "bytes"}, "detection"))
    assert found.num_rows == 50
    for old, new, reason in (
        ("'many' AS why,", "", "no column why"),
        ("0.5 AS score", "'high' AS score", "score is string, and has to be a number"),
        ("min(ts) AS ts_first", "5 AS ts_first", "ts_first is int32, and has to be a time"),
        ("list(flow_id ORDER BY ts)[1:1000]", "max(flow_id)", "flow_ids is int64, and has to be a list of flow_id"),
    ):
        with pytest.raises(QueryError, match=reason):
            run_question(case, question(DETECTION.replace(old, new), {"sent": "bytes"}, "detection"))


def test_a_parameter_that_does_nothing_is_told(case: CaseReader) -> None:
    with pytest.raises(QueryError, match="mine: the query does not use its parameter most"):
        run_question(case, question("SELECT 1 AS n", most=5))


def test_a_stopped_question_is_not_asked(case: CaseReader) -> None:
    asked = case.question()
    asked.stop()
    with pytest.raises(CancelledError):
        run_question(asked, question("SELECT count(*) AS n FROM flows"))


def test_rows_have_a_bound(case: CaseReader) -> None:
    assert run_question(case, question("SELECT 1 AS n FROM flows"), limit=7).num_rows == 7
