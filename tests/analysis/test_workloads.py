"""Lifelines of a small made-up case: who was there when, what it sent, whom it met, and why it is called so."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.lives import HOUR, PODS, STRANGER, claim, make_named_case, us, workload
from workbench.analysis.hosts import Range
from workbench.analysis.workload_evidence import known
from workbench.analysis.workload_groups import grouped, kept
from workbench.analysis.workload_traffic import Lifelines, lifelines, peers
from workbench.analysis.workloads import ABSENT, CONTESTED, THERE, cells_of, labels_of, living, named
from workbench.errors import CancelledError
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import CaseReader

START = us(0) or 0
OVER = Range(START, START + HOUR, 12)  # five minutes a cell
WINDOW = (OVER.start, OVER.end)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> CaseReader:
    return CaseReader(make_named_case(tmp_path_factory.mktemp("lives") / "case"))


@pytest.fixture(scope="module")
def found(case: CaseReader) -> Lifelines:
    return lifelines(case.question(), EVERYTHING, OVER)


def number(found: Lifelines, name: str) -> int:
    return next(n for n, one in enumerate(found.living.workloads) if one.name == name)


def test_lives_are_cells_of_the_range_and_what_two_claim_is_told_apart(found: Lifelines) -> None:
    cells = {one.name: found.living.cells[n].tolist() for n, one in enumerate(found.living.workloads)}
    assert cells["api-0"] == [THERE] * 12  # since before, and still there
    assert cells["db-0"] == [THERE] * 12
    assert cells["job-a"] == [ABSENT, THERE, THERE, *[ABSENT] * 9]
    assert cells["job-b"] == [*[ABSENT] * 3, THERE, THERE, *[ABSENT] * 7]
    assert cells["twin-1"] == [ABSENT, ABSENT, *[CONTESTED] * 6, *[ABSENT] * 4]


def test_several_addresses_of_one_uid_are_one_lifeline(tmp_path: Path) -> None:
    pods = (*PODS, ("api-1", "web", "node-c", "10.244.9.9", {}, 2, 7, 1))
    with CaseReader(make_named_case(tmp_path / "case", pods)) as case:
        living_now = living(case, OVER)
        one = next(w for w in living_now.workloads if w.name == "api-1")
        assert [held.ip for held in one.tenures] == ["10.244.9.9", "10.244.0.11"]
        assert (one.first, one.last) == (us(2), None)
        assert living_now.cells[living_now.workloads.index(one)].tolist() == [1, 1, 0, 0, *[1] * 8]


def test_what_flows_say_is_added_up_by_workload_and_by_bin(found: Lifelines, case: CaseReader) -> None:
    c = number(found, "job-c")
    assert (found.traffic.flows[c], found.traffic.sent[c]) == (3, 300_000 + 2_000_000 + 60_000)
    assert found.traffic.bins[c].tolist() == [0] * 6 + [2] + [0] * 3 + [1, 0]
    assert found.traffic.flows[number(found, "twin-1")] == 0  # nobody knows whose they were
    only = lifelines(case.question(), Where("src_bytes > ?", (1_000_000,)), OVER)
    assert only.traffic.flows.sum() == 1
    assert kept(only, WINDOW, filtered=True) == [number(only, "job-c")]


def test_addresses_without_a_name_stay_and_those_that_two_claim_are_not_among_them(found: Lifelines) -> None:
    assert [(one.ip, one.flows, one.received) for one in found.unnamed] == [(STRANGER, 2, 2_000_300)]
    assert found.unnamed_in_all == 1
    assert found.unnamed[0].bins.sum() == 2


def test_groups_by_namespace_node_and_label_tell_what_changed(found: Lifelines) -> None:
    numbers = kept(found, WINDOW, filtered=False)
    assert len(numbers) == len(PODS)
    groups = {group.value: group for group in grouped(found, numbers, "namespace", "bytes", WINDOW)}
    assert list(groups) == ["train", "data", "web"]
    train = groups["train"]
    assert (len(train.members), train.new, train.gone, train.brief, train.contested) == (5, 5, 5, 2, 2)
    assert found.living.workloads[train.members[0]].name == "job-c"
    assert train.alive.tolist() == [0, 1, 3, 3, 3, 2, 3, 3, 1, 1, 1, 1]
    apps = grouped(found, numbers, "label:app", "name", WINDOW, descending=False)
    assert [group.value for group in apps] == ["api", "db", "job", None]  # those without come last
    assert [g.value for g in grouped(found, numbers, "node", "flows", WINDOW)] == ["node-a", "node-b", "node-c"]
    assert len(grouped(found, numbers, "", "first", WINDOW)) == 1


def test_in_a_window_only_who_lived_then_is_listed(found: Lifelines) -> None:
    then = (us(26) or 0, us(29) or 0)
    nothing = np.zeros(len(found.living.workloads), np.int64)
    quiet = Lifelines(found.living, type(found.traffic)(nothing, nothing, nothing, found.traffic.bins), (), 0)
    names = {found.living.workloads[n].name for n in kept(quiet, then, filtered=False)}
    assert names == {"api-0", "api-1", "db-0", "twin-1", "twin-2"}


def test_whom_one_met_is_named_as_of_each_flow(found: Lifelines, case: CaseReader) -> None:
    met, count = peers(case, EVERYTHING, [6])
    assert [(one.words, one.uid is None, one.flows, one.began) for one in met] == [
        (STRANGER, True, 1, 1), ("data/db-0", False, 1, 1), ("web/api-1", False, 1, 1)
    ]  # fmt: skip
    assert count == 3
    met, _ = peers(case, EVERYTHING, [3])
    assert [one.words for one in met if one.ambiguous] == ["10.244.0.40"]


def test_evidence_says_what_was_beaten_and_who_held_the_address_before_and_after(found: Lifelines, case: CaseReader) -> None:
    workloads = found.living.workloads
    of_api = known(case.question(), EVERYTHING, workloads[number(found, "api-0")])
    assert [claim.origin for claim in of_api.claims] == ["kubernetes"]
    assert [(claim.words, claim.origin) for claim in of_api.beaten] == [("old.example", "dns")]
    of_b = known(case.question(), EVERYTHING, workloads[number(found, "job-b")])
    assert [(holder.words, holder.mine) for holder in of_b.holders] == [
        ("train/job-a", False), ("train/job-b", True), ("train/job-c", False)
    ]  # fmt: skip
    of_twin = known(case.question(), EVERYTHING, workloads[number(found, "twin-1")])
    assert [claim.words for claim in of_twin.rivals] == ["train/twin-2"]


def test_a_case_knows_names_or_does_not(case: CaseReader, tmp_path: Path) -> None:
    assert named(case)
    with CaseReader(make_named_case(tmp_path / "case", kind="name")) as other:
        assert not named(other)


def test_labels_of_strangers_are_passed_over() -> None:
    assert labels_of('{"a": "b", "c": 3, "d": null}') == {"a": "b"}
    odd: list[Any] = ["", None, "[1]", "{", "3", '{"x"', "[" * 100_000, 7]
    assert all(labels_of(text) == {} for text in odd)


def test_cells_keep_to_the_range() -> None:
    assert cells_of(None, None, OVER) == (0, 12)
    assert cells_of(us(-500), us(-400), OVER) == (0, 1)
    assert cells_of(us(600), us(700), OVER) == (11, 12)
    assert cells_of(us(7), us(7), OVER) == (1, 2)
    assert cells_of(2**62, -(2**62), OVER) == (11, 12)


def test_a_stopped_question_says_so(case: CaseReader) -> None:
    question = case.question()
    threading.Thread(target=question.stop).run()
    with pytest.raises(CancelledError):
        lifelines(question, EVERYTHING, OVER)


def test_rows_without_a_uid_are_lives_of_their_own(tmp_path: Path) -> None:
    with CaseReader(make_named_case(tmp_path / "case", uid=None, name=None)) as case:
        found = living(case, OVER)
        assert len(found.workloads) == len(PODS)
        assert found.workloads[0].words == found.workloads[0].tenures[0].ip
    assert claim(workload(1, PODS[0]))["source_id"] == 1
