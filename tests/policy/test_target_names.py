from __future__ import annotations

import json

import pytest

from tests.push.compiling import CONTAIN
from workbench.policy.lint import lint
from workbench.policy.loader import load
from workbench.policy.target_names import breaking, unfit_id

HOSTILE = ['x"; flush ruleset', "a$(reboot)", "x\ny", "`id`", "a|b", "\u202egpj", "'; DROP TABLE", "\x1b[2J"]


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("where", ["labels: {%s: a}", "labels: {app: %s}", "namespace: [%s]", "network: [%s]"])
def test_words_made_to_break_out_fail_lint_and_are_shown_visibly(word: str, where: str) -> None:
    text = CONTAIN.replace("guests: {cidr", f"odd: {{{where % json.dumps(word)}}}\n  guests: {{cidr")
    loaded = load([("p.yaml", text)])
    (place, why), *_ = breaking(loaded.policy)
    assert place[:2] == ("groups", "odd")
    assert not set(why) & {"\n", "\x1b", "\u202e"}
    found = [one for one in lint(loaded) if one.code == "name" and one.severity == "error"]
    assert found
    assert found[0].file == "p.yaml"


def test_words_of_every_day_do_not() -> None:
    text = CONTAIN.replace(
        "guests: {cidr", "fine: {labels: {app.kubernetes.io/name: web-1_x}, namespace: [a, b.c]}\n  guests: {cidr"
    )
    assert breaking(load([("p.yaml", text)]).policy) == []


@pytest.mark.parametrize("rule_id", ["a/b", "contain/(invalid)", "contain/" + "x" * 63, "A-1_x.y/default"])
def test_ids_that_targets_hold(rule_id: str) -> None:
    assert unfit_id(rule_id) == ""


@pytest.mark.parametrize("rule_id", ["a", "a/", "a/1", "a/b c", 'a/b"', "a/b\n", "a" * 64 + "/" + "b" * 64, "a/b/c", "é/b"])
def test_ids_that_they_do_not(rule_id: str) -> None:
    assert unfit_id(rule_id) != ""
