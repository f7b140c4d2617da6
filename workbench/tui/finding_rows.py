"""Findings as rows of a table, grouped by detection and severity, and one of them in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from rich.text import Text

from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.looks import Look, text_cell

if TYPE_CHECKING:
    from workbench.detections.question import Question
    from workbench.store.notebook import FindingState

Finding = Mapping[str, Any]

#: Severities from the worst; a sign and the word, so that no colour is needed.
SIGNS: Final = {"critical": "▲▲", "high": "▲", "medium": "●", "low": "○", "info": "·"}
_RANK: Final = {name: rank for rank, name in enumerate(SIGNS)}
#: What findings within a group are ordered by, in the order of the key: column, whether the largest come first, words.
ORDERS: Final = (
    ("score", True, "highest score first"),
    ("ts_first", False, "earliest first"),
    ("ts_last", True, "latest first"),
    ("flows", True, "most flows first"),
    ("subject", False, "by subject"),
)


def _cell(text: Any) -> str:
    return "" if text is None else text_cell(text)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _flows(value: int | None) -> str:
    return "" if value is None else figures.count(value)


def _time(value: Any) -> str:
    return "" if value is None else figures.clock(value, date=True)


LOOKS: Final = (
    Look("severity", "severity", "How bad it is if it is true", 12, 12, False, "", _cell),
    Look("what", "what", "The detection, or who to whom", 32, 52, False, "", _cell),
    Look("state", "state", "What people made of it", 9, 9, False, "", _cell),
    Look("score", "score", "0 to 1: how far past the detection's limits", 5, 5, True, "", _score),
    Look("flows", "flows", "Flows behind it; of a group, findings", 6, 7, True, "", _flows),
    Look("ts_first", "first", "First packet of the evidence, UTC", 18, 18, False, "time", _time),
    Look("why", "why", "One sentence with the numbers", 40, 120, False, "", _cell),
)
_SCHEMA: Final = pa.schema(
    {
        **dict.fromkeys(("severity", "what", "state", "why", "finding_id", "group"), pa.utf8()),
        "score": pa.float64(),
        "flows": pa.int64(),
        "ts_first": pa.timestamp("us"),
    }
)


def state_of(finding: Finding, states: Mapping[str, FindingState]) -> str:
    """What people made of it; open where nobody said anything."""
    found = states.get(finding["finding_id"])
    return found.state if found is not None else "open"


def table_of(
    findings: Sequence[Finding], states: Mapping[str, FindingState], folded: Collection[str], only: str, order: int
) -> pa.Table:
    """Rows of the table: a group's heading, then its findings; the worst group first.

    folded: groups of which only the heading is shown. only: a state, '' for all.
    """
    groups: dict[tuple[int, str], list[Finding]] = {}
    for finding in findings:
        if not only or state_of(finding, states) == only:
            groups.setdefault((_RANK.get(finding["severity"], 9), finding["detection"]), []).append(finding)
    rows: list[dict[str, Any]] = []
    for key in sorted(groups):
        rows += _group(groups[key], states, folded, order)
    return pa.Table.from_pylist(rows, _SCHEMA)


def _group(
    members: list[Finding], states: Mapping[str, FindingState], folded: Collection[str], order: int
) -> list[dict[str, Any]]:
    first = members[0]
    severity, name = first["severity"], f"{first['severity']}/{first['detection']}"
    column, largest, _ = ORDERS[order]
    members.sort(key=lambda finding: finding["finding_id"])
    members.sort(key=lambda finding: finding[column], reverse=largest)
    counts = Counter(state_of(finding, states) for finding in members)
    closed = name in folded
    heading = {
        "severity": f"{SIGNS.get(severity, '?'):2} {severity}",
        "what": f"{'▸' if closed else '▾'} {first['title']}",
        "state": f"{counts['open']} open",
        "flows": len(members),
        "why": ", ".join(f"{n} {state}" for state, n in sorted(counts.items())),
        "group": name,
    }
    if closed:
        return [heading]
    return [heading, *({"group": name, **_row(finding, states)} for finding in members)]


def _row(finding: Finding, states: Mapping[str, FindingState]) -> dict[str, Any]:
    columns = ("score", "flows", "ts_first", "why", "finding_id")
    return {
        **{name: finding[name] for name in columns},
        "severity": f"   {SIGNS.get(finding['severity'], '?')}",
        "what": "  " + subject_words(finding),
        "state": state_of(finding, states),
    }


def subject_words(finding: Finding) -> str:
    """Who, and to whom."""
    target = finding.get("object")
    return str(finding["subject"])[:300] + (f" → {str(target)[:300]}" if target else "")


# -- one of them ------------------------------------------------------------------------------------------------------


def explained(finding: Finding, question: Question | None, history: Sequence[FindingState], noted: int) -> Text:
    """What was found, why it matters, on what evidence, what else it could be, and what people made of it.

    question: the detection's file as it is now; None where it is gone. noted: notes on it.
    """
    text = Text()
    severity = str(finding["severity"])
    _heading(text, f"{SIGNS.get(severity, '?')} {severity}: {finding['title']}")
    _line(text, subject_words(finding))
    _line(text, finding["why"])
    times = f"{_second(finding['ts_first'])} to {_second(finding['ts_last'])} UTC"
    _line(text, f"{times}, {finding['flows']:,} flows, score {finding['score']:.2f}")
    last = history[-1] if history else None
    _line(text, f"state: {last.state if last else 'open'}" + (f", {noted} note{'s' * (noted > 1)}" if noted else ""))
    if question is not None:
        _heading(text, "Why it matters")
        _line(text, question.description)
    _evidence(text, finding, question)
    if question is not None:
        _heading(text, "What else could explain it")
        for one in question.false_positives:
            _line(text, f"- {one}")
    else:
        _line(text, f"The file of detection {finding['detection']} is not there any more: what it means cannot be said.")
    _heading(text, "ATT&CK, parameters")
    _line(text, str(finding["attack"]).replace(",", ", ") or "no technique")
    _parameters(text, finding, question)
    _line(text, f"detection {finding['detection']}, run {_second(finding['found'])} UTC, finding {finding['finding_id']}")
    if history:
        _heading(text, "What people made of it")
    for was in reversed(history):
        when = figures.moment(figures.from_us(was.ts))[:19]
        _line(text, f"{when}Z {was.state}, {was.author[:80]}: {was.reason[:2000]}")
    text.rstrip()
    return text


def _evidence(text: Text, finding: Finding, question: Question | None) -> None:
    values = _object(finding["evidence"])
    if values:
        _heading(text, "Evidence")
    for name, value in values.items():
        meaning = question.columns.get(name, "") if question is not None else ""
        _line(text, f"{name[:80]} = {_plain(name, value)}" + (f"  ({meaning})" if meaning else ""))


def _parameters(text: Text, finding: Finding, question: Question | None) -> None:
    """The values it ran with, what they mean, and how others are given."""
    values = _object(finding["parameters"])
    for name, value in values.items():
        known = question.parameters.get(name) if question is not None else None
        _line(text, f"{name[:80]} = {_plain(name, value)}" + (f"  ({known.help})" if known is not None and known.help else ""))
    if not values:
        _line(text, "no parameters")
    else:
        given = f"workbench detect --case CASE -p {next(iter(values))}=VALUE"
        _line(text, f"Parameters are given on the command line: {given}")


def _heading(text: Text, words: str) -> None:
    text.append(("\n" if text else "") + visible(words[:300]) + "\n", "bold")


def _line(text: Text, words: object) -> None:
    text.append(visible(str(words)[:4000].strip()) + "\n")


def _plain(name: str, value: object) -> str:
    if value == "":
        return "untagged" if name == "network" else '""'
    return value[:500] if isinstance(value, str) else json.dumps(value)[:500]


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _second(when: Any) -> str:
    return figures.moment(when)[:19]


def about_group(record: Mapping[str, Any] | None, questions: Mapping[str, Question]) -> Text:
    """What a group's heading stands for; nothing where there is no row."""
    text = Text()
    if record is None:
        return text
    severity, _, detection = str(record.get("group") or "").partition("/")
    question = questions.get(detection)
    if question is not None:
        _heading(text, f"{SIGNS.get(severity, '?')} {severity}: {question.title}")
        _line(text, question.description)
        _heading(text, "What else could explain it")
        for one in question.false_positives:
            _line(text, f"- {one}")
    _line(text, "Enter folds this group.")
    return text
