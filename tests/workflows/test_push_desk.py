"""What a screen that pushes needs: where plans are kept, whose signatures came to them, what became of a push."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.people import bundle
from workbench.errors import ForeignCaseError, PlanError
from workbench.push.plans import Plan, read_plan, write_plan
from workbench.push.resident import workbench_dpu as dpu
from workbench.workflows import push_desk
from workbench.workflows.push_policy import Status


def made(**given: Any) -> Plan:
    return Plan(dpu.canonical(bundle(**given)).decode())


def test_a_plan_is_kept_under_a_name_of_its_own_and_gives_way_unsigned(tmp_path: Path) -> None:
    one, other = made(), made(sequence=2)
    first, second = push_desk.keep_plan(tmp_path, one), push_desk.keep_plan(tmp_path, other)
    assert first == tmp_path / "plans" / f"dpu1-1-p-{one.digest[:8]}.plan"
    assert read_plan(second).bundle == other.bundle
    push_desk.drop_plan(first)
    write_plan(second, replace(other, signature="somebody's"))
    push_desk.drop_plan(second)
    assert [first.exists(), second.exists()] == [False, True]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "case" / "plans").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ForeignCaseError, match="a link to elsewhere"):
        push_desk.keep_plan(tmp_path / "case", made())
    assert not list((tmp_path / "elsewhere").iterdir())


def test_signatures_are_gathered_from_copies_of_the_same_plan_only(tmp_path: Path) -> None:
    plan = replace(made(), signature="ada's")
    path, copy, wrong = tmp_path / "plan", tmp_path / "copy", tmp_path / "wrong"
    write_plan(path, plan)
    wrong.write_text("{")
    assert push_desk.gathered(path, (copy, wrong)) == plan
    write_plan(copy, replace(made(sequence=2), approval="ben's"))
    assert push_desk.gathered(path, (copy,)) == plan
    stamp = push_desk.stamp((path, copy))
    write_plan(copy, replace(plan, signature="", approval="ben's"))
    assert push_desk.stamp((path, copy)) != stamp
    assert push_desk.gathered(path, (copy, wrong)) == read_plan(path) == replace(plan, approval="ben's")


def test_only_the_plan_that_is_shown_is_signed() -> None:
    asked, found = push_desk.same_plan(made().digest)
    asked(made(), {"doubts": ["one"]})
    assert found == {"doubts": ["one"]}
    with pytest.raises(PlanError, match="another plan now"):
        asked(made(sequence=2), {})


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({"pending": {"digest": "d"}}, ("waiting", "")),
        ({"confirmed": {"digest": "d"}, "last": {"digest": "e", "outcome": "rolled back", "why": "late"}}, ("confirmed", "")),
        ({"last": {"digest": "d", "outcome": "rolled back", "why": "late"}}, ("rolled back", "late")),
        ({"last": {"digest": "e", "outcome": "confirmed", "why": ""}, "pending": {"digest": "f"}}, ("gone", "")),
    ],
)
def test_what_became_of_a_push(said: dict[str, Any], outcome: tuple[str, str]) -> None:
    whole = {"pending": None, "last": None, "confirmed": None} | said
    assert push_desk.became(Status("dpu1", "", "empty", whole), "d") == outcome
