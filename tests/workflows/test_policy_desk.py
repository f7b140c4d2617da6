"""The proof beside the editor: what it calls nothing is nothing, whatever the kind of change."""

from __future__ import annotations

import datetime as dt

import pytest

from workbench.policy.members import nobody
from workbench.tui.policy_looks import proof_head, proof_rows
from workbench.workflows import policy_desk as desk

AT = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
TEXT = """\
apiVersion: workbench/v1
kind: Policy
metadata: {name: shop}
internal: [10.0.0.0/8]
rules:
  - {name: no-ssh, tier: app, priority: 1, action: deny, from: 10.1.0.0/16, to: any, services: [tcp/22], log: true}
defaults: {east_west: allow}
"""
LABELLED = """\
groups: {train: {labels: {app: train}}}
rules:
  - {name: new, tier: admin, priority: 1, action: allow, from: train, to: any}"""


def told(new: str, old: str = TEXT) -> tuple[desk.Proof, str]:
    before, after = (desk.read(text, nobody, AT) for text in (old, new))
    assert after.loaded is not None, after.remarks
    found = desk.proof(before, after, nobody, known=True)
    assert proof_rows(found).num_rows == len(found.rows)
    return found, proof_head(found, "version 1").plain


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ("action: deny", "action: reject", "rejected"),
        ("internal: [10.0.0.0/8]", "internal: [10.0.0.0/9]", "unmanaged"),
        ("rules:", LABELLED, "managed"),
        ("log: true", "log: true, existing: cut", "cut"),
    ],
)
def test_every_kind_of_change_is_told(old: str, new: str, way: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    found, said = told(changed)
    assert way in found.counts
    assert {row.way for row in found.rows} == set(found.counts)
    assert desk.WAYS[way] in said
    assert "every packet is judged as by" not in said
    backwards, _ = told(TEXT, changed)
    assert not backwards.nothing


def test_workloads_that_nobody_knows_are_thought_up_and_that_is_told() -> None:
    found, said = told(TEXT.replace("rules:", LABELLED, 1))
    assert "the case knows nobody who is in `train`" in said
    assert {row.src for row in found.rows} <= {"train", "train (IPv4)", "train (IPv6)"}


@pytest.mark.parametrize(
    ("key", "words"), [("log: false", "log true -> false"), ("expires: 2h, log: true", "expires never -> 2h")]
)
def test_rules_that_differ_in_what_no_packet_shows(key: str, words: str) -> None:
    found, said = told(TEXT.replace("log: true", key))
    assert found.nothing
    assert f"rule shop/no-ssh: {words}" in said
    assert "Nothing changes" not in said
    assert "as of 2026-11-23T12:00:00Z" in said


def test_nothing_is_nothing() -> None:
    _, said = told(TEXT + "# a comment\n")
    assert said == "Proven: every packet is judged as by version 1, as of 2026-11-23T12:00:00Z. Nothing changes."
