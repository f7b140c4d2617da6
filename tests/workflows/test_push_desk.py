"""What a screen that pushes needs: where plans are kept, whose signatures came to them, what became of a push."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.push.resident.people import People, bundle
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


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def settings(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "signers").write_text(people.signers())
    (tmp_path / "settings.toml").write_text(f'[audit]\nallowed_signers = "{tmp_path}/signers"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    return tmp_path / "settings.toml"


@needs.program("ssh-keygen")
def test_signatures_are_gathered_from_copies_of_the_same_plan_only(tmp_path: Path, people: People, settings: Path) -> None:
    plan, other = made(), made(sequence=2)
    signed = {name: people.sign(name, plan.bundle, purpose) for name, purpose in (("ada", dpu.POLICY), ("ben", dpu.APPROVAL))}
    eve = people.sign("eve", plan.bundle, dpu.APPROVAL)
    plan = replace(plan, signature=signed["ada"])
    path, copy, wrong = tmp_path / "plan", tmp_path / "copy", tmp_path / "wrong"
    write_plan(path, plan)
    wrong.write_text("{")
    assert push_desk.gathered(path, (copy, wrong)) == plan
    of_another = people.sign("ben", other.bundle, dpu.APPROVAL)
    write_plan(copy, replace(other, approval=of_another))
    assert push_desk.gathered(path, (copy,)) == plan
    write_plan(copy, replace(plan, approval=of_another))  # his, but of other bytes
    assert push_desk.gathered(path, (copy,)) == read_plan(path) == plan
    assert push_desk.who_signed(read_plan(copy))[1] == ""
    write_plan(path, read_plan(copy))  # nor does it stand in the way of one that holds
    assert push_desk.gathered(path, ()) == plan
    write_plan(copy, replace(plan, approval=eve))
    found = push_desk.gathered(path, (copy,))
    assert found.approval == eve
    assert ", unverified: the allowed signers of the settings do not know that key" in push_desk.who_signed(found)[1]
    stamp = push_desk.stamp((path, copy))
    write_plan(copy, replace(plan, signature="", approval=signed["ben"]))
    assert push_desk.stamp((path, copy)) != stamp
    found = push_desk.gathered(path, (copy, wrong))
    assert found == read_plan(path) == replace(plan, approval=signed["ben"])
    assert [who.split(" ")[0] for who in push_desk.who_signed(found)] == ["ada", "ben"]
    push_desk.refuse_unsigned(found, plan.digest, author=False)
    with pytest.raises(PlanError, match="the approval does not hold"):
        push_desk.refuse_unsigned(replace(found, approval=""), plan.digest, author=False)
    settings.write_text("")
    ada, ben = push_desk.who_signed(found)
    assert ada.startswith("SHA256:")
    assert ada.endswith(", unverified: the settings name no allowed signers")
    assert push_desk.who_signed(replace(found, approval=of_another)) == (ada, "")
    assert ben != ada


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
