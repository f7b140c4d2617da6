"""Running a question: parameters bound, the walls of a person's query around it, its columns checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.types as kinds

from workbench.detections.question import Question
from workbench.errors import QueryError
from workbench.store.query import ask_guarded
from workbench.store.reader import Asks

#: Rows of a hunt that are kept in memory at most.
MOST_ROWS: Final = 1_000_000

#: Findings of one detection at most: what finds more is not looking for something special.
MOST_FINDINGS: Final = 5_000


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(kinds.is_floating(kind) or kinds.is_integer(kind) or kinds.is_decimal(kind))


def _is_ids(kind: pa.DataType) -> bool:
    return bool(kinds.is_list(kind) and (kinds.is_integer(kind.value_type) or kinds.is_null(kind.value_type)))


#: What a detection yields at least: column -> (its type in words, whether an Arrow type will do).
STANDARD: Final[dict[str, tuple[str, Callable[[pa.DataType], bool]]]] = {
    "subject": ("text", _is_text),
    "object": ("text", lambda kind: _is_text(kind) or bool(kinds.is_null(kind))),
    "score": ("a number", _is_number),
    "ts_first": ("a time", kinds.is_timestamp),
    "ts_last": ("a time", kinds.is_timestamp),
    "flow_ids": ("a list of flow_id", _is_ids),
    "flows": ("a whole number", lambda kind: bool(kinds.is_integer(kind) or kinds.is_decimal(kind))),
    "why": ("text", _is_text),
}
#: A detection may say for each finding how bad it is.
OPTIONAL: Final = ("severity",)


def run_question(asks: Asks, question: Question, params: Mapping[str, Any] | None = None, limit: int | None = None) -> pa.Table:
    """Ask it; all its rows, at most `limit` (default: findings as many as are kept, rows as many as fit).

    params: name -> what a person wrote. UsageError for a wrong parameter; QueryError, which names the question, where
    the SQL is refused or its columns are not what the header says; CancelledError when stopped.
    """
    values = question.values(dict(params or {}))
    most = limit if limit is not None else (MOST_FINDINGS + 1 if question.kind == "detection" else MOST_ROWS)
    try:
        found = ask_guarded(asks, question.sql, values, most)
    except QueryError as error:
        raise QueryError(f"{question.id}: {error.message}", error.remedy) from error
    check_columns(question, found.schema)
    return found


def check_columns(question: Question, schema: pa.Schema) -> None:
    """QueryError where the SELECT does not yield what the header promises, or what every detection must."""
    names = list(schema.names)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise _wrong(question, f"its SELECT yields {', '.join(twice)} twice")
    if question.kind == "detection":
        for name, (words, good) in STANDARD.items():
            if name not in names:
                raise _wrong(question, f"its SELECT yields no column {name}, which every detection has")
            if not good(schema.field(name).type):
                raise _wrong(question, f"its column {name} is {schema.field(name).type}, and has to be {words}")
        if "severity" in names and not _is_text(schema.field("severity").type):
            raise _wrong(question, "its column severity has to be text")
    own = {*STANDARD, *OPTIONAL} if question.kind == "detection" else set()
    absent = [name for name in question.columns if name not in names and name not in OPTIONAL]
    unnamed = [name for name in names if name not in question.columns and name not in own]
    if absent:
        raise _wrong(question, f"its header names {', '.join(absent)}, which its SELECT does not yield")
    if unnamed:
        raise _wrong(question, f"its SELECT yields {', '.join(unnamed)}, which its header does not name")


def _wrong(question: Question, why: str) -> QueryError:
    return QueryError(f"{question.id}: {why}", f"Mend {question.path}; docs/detections.md says what a question yields.")
