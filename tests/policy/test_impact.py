"""What a change of policy would have done: every flow counted once, under who asked whom for what."""

import random
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.policy import made
from tests.policy.test_judging import columns, policy, recorded, resolver
from workbench.errors import CancelledError
from workbench.policy import impact
from workbench.policy.impact import KINDS, Change, Session, compare
from workbench.policy.judging import VERDICTS, Judged, judge
from workbench.policy.model import Policy
from workbench.policy.recorded import Gathering, History, gathered, microseconds

PASSED = ("allow", "unmanaged")


def kind_of(before: str, after: str) -> str:
    if after == "undetermined":
        return KINDS[3] if before != "undetermined" else ""
    if before == "undetermined":
        return KINDS[2] if after in PASSED else KINDS[1]
    return "" if (before in PASSED) == (after in PASSED) else KINDS[2] if after in PASSED else KINDS[1]


def counted(old: Judged, new: Judged, name: str) -> dict[tuple[str, str, str, int], int]:
    """Flows by kind, parties and service number, one at a time."""
    out: dict[tuple[str, str, str, int], int] = {}
    history = new.history
    for row in history.told.row.tolist():
        a, b = (VERDICTS[getattr(one, name).verdict[row]] for one in (old, new))
        if kind := kind_of(a, b):
            src, dst = (history.ends.name(int(side[row])) for side in (history.rows.src, history.rows.dst))
            key = kind, src, dst, int(history.rows.proto[row]) << 16 | int(history.rows.service[row])
            out[key] = out.get(key, 0) + 1
    return out


def test_every_flow_whose_fate_changes_is_counted_once_under_its_pair_and_service() -> None:
    met = set()
    for seed in range(25):
        dice = random.Random(seed)
        history, _ = recorded(dice, 60)
        old, new = policy(dice, 8), policy(dice, 8)
        found = compare(history, judge(history, old, resolver), judge(history, new, resolver))
        assert found.old is not None
        for name, changes in (("intended", found.intended), ("enforced", found.enforced)):
            want = counted(found.old, found.new, name)
            every = [*changes.denied, *changes.allowed, *changes.undetermined]
            assert sorted(one.flows for one in every) == sorted(want.values())
            assert len(every) == len(want)
            assert {(one.kind, one.src, one.dst) for one in every} == {key[:3] for key in want}
            assert sum(one.flows for one in changes.sums) == sum(want.values())
            assert changes.nothing == (not want)
            met |= {one.kind for one in every}
        for one in found.intended.denied:
            history_now = found.new.history
            assert len(history_now.flows_of(found.rows_of(one))) == one.flows
            assert found.new.rule_id(one.row) == one.rule
            assert found.old.rule_id(one.row) == one.before
    assert met == set(KINDS[1:])


def plain(rules: list[dict[str, Any]], **more: Any) -> Policy:
    said: dict[str, Any] = {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "p"}, **more}
    base = {"tier": "app", "from": "any", "to": "any"}
    return Policy.model_validate(
        said | {"rules": [base | {"name": f"r{n}", "priority": n} | rule for n, rule in enumerate(rules)]}
    )


def of_live(live: int, count: int = 3) -> History:
    """Flows of one pair for one service, an hour apart, some of which are live."""
    dice = random.Random(2)
    history, told = recorded(dice, 1)
    packet, _, network = told[0]
    packet = replace(packet, initiator_known=True, proto=6, dport=443, at=made.NOW)
    made_columns = columns([(packet, (0, 0), network)] * count)
    ts = microseconds(made.NOW) + 3_600_000_000 * (made_columns.ts * 0 + range(count))
    marks = (made_columns.live * 0 + [n < live for n in range(count)]).astype("uint8")
    gathering = Gathering()
    gathering.add(replace(made_columns, ts=ts, ts_end=ts + 10, live=marks))
    return gathered(gathering, history.ends)


def test_sessions_survive_a_rule_that_keeps_them_and_the_default_and_no_rule_that_cuts() -> None:
    history = of_live(2)
    for said, surviving in (([{"action": "deny"}], 2), ([{"action": "deny", "existing": "cut"}], 0), ([], 2)):
        one = Session(history).update(plain(said)).intended.denied[0]
        assert (one.flows, one.live, one.surviving, one.service) == (3, 2, surviving, "tcp/443")


def test_a_rule_that_ends_cuts_alike_flows_in_two() -> None:
    history = of_live(1, 4)
    assert len(history.rows) == 1
    until = (made.NOW.replace(hour=2)).isoformat()  # the third flow is at two o'clock
    session = Session(history, plain([{"action": "allow"}]))
    found = session.update(plain([{"action": "allow", "expires": until}])).intended
    assert [(one.flows, one.first) for one in found.denied] == [(2, history.begin + 2 * 3_600_000_000)]
    assert found.sums[0].live == 0
    back = session.update(plain([{"action": "allow"}]))
    assert back.intended.nothing
    assert back.flows == 4


def test_an_update_that_is_stopped_says_so_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    history, _ = recorded(random.Random(4), 50)
    session = Session(history, None, resolver)
    begun, go_on = threading.Event(), threading.Event()
    real = impact.judge

    def slow(*words: Any) -> Judged:
        begun.set()
        go_on.wait(10)
        return real(*words)

    monkeypatch.setattr(impact, "judge", slow)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            session.update(policy(random.Random(1), 5))
        except CancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(10)
    session.stop()
    go_on.set()
    thread.join(10)
    assert len(raised) == 1
    again = session.update(policy(random.Random(1), 5))
    assert again.flows == 50
    assert session.update(policy(random.Random(1), 5)) is again


def test_only_the_greatest_changes_are_told_and_all_are_summed() -> None:
    history, _ = recorded(random.Random(6), 300)
    everything = compare(history, None, judge(history, plain([{"action": "deny"}]), resolver))
    few = compare(history, None, judge(history, plain([{"action": "deny"}]), resolver), most=3)
    told: list[Change] = list(few.intended.denied)
    assert told == list(everything.intended.denied[:3])
    assert few.intended.sums == everything.intended.sums
    assert few.intended.sums[0].groups == len(everything.intended.denied)
    assert few.mid_stream == int(history.rows.flows[history.rows.state == 0].sum())
