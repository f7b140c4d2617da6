"""A push lives until it is confirmed or its window is over; what was confirmed lasts until it expires."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.push.resident.box import Box
from tests.push.resident.people import COOKIE, NEW, OLD, stage
from workbench.push.resident import workbench_dpu as dpu

SETS = {
    "train": {"selector": "app=train", "source": "kubernetes", "bound": ["10.0.0.0/8"], "members": ["10.1.0.1/32"], "lease": 600}
}
DENY = f"cookie={COOKIE}00000001,table=200,priority=9,ip,nw_src=@{{train/4}},actions=drop\n"
ALLOW = f"cookie={COOKIE}00000002,table=200,priority=8,ip,nw_dst=@{{train/4!}},actions=resubmit(,205)\n"


def has(box: Box, *ports: int) -> bool:
    return [f"tp_dst={port}," in box.lines.running() for port in (22, 443)] == [port in ports for port in (22, 443)]


def confirmed(box: Box, **given: object) -> str:
    mark = box.push(**given)  # type: ignore[arg-type]
    box.confirm(mark)
    return mark


def test_a_push_is_kept_once_confirmed(box: Box) -> None:
    mark = box.push(window=20)
    assert has(box, 22)
    assert box.ask("status")["pending"] == {"digest": mark, "phase": "applied", "remaining": 20.0}
    box.confirm(mark)
    box.later(1000)
    assert box.tick()["last"]["outcome"] == "confirmed"
    said = box.ask("status", text=True)
    assert (said["confirmed"]["digest"], said["confirmed"]["signer"], said["confirmed"]["approver"]) == (mark, "ada", "ben")
    assert said["running"] == dpu.digest(said["text"].encode())
    assert said["pending"] is None
    assert has(box, 22)


def test_nothing_is_there_after_the_first_window(box: Box) -> None:
    mark = box.push(window=20)
    box.later(19)
    assert box.tick()["pending"]["digest"] == mark
    box.later(2)
    state = box.tick()
    assert state["last"] == {
        "digest": mark,
        "outcome": "rolled back",
        "why": "the push was not confirmed in time",
        "at": 1_800_000_021,
    }
    assert box.lines.running() == ""


def test_the_old_rules_are_back_after_the_window(box: Box) -> None:
    confirmed(box)
    box.push(sequence=2, rules=[stage(NEW)], window=20)
    assert has(box, 443)
    box.later(21)
    box.tick()
    assert has(box, 22)
    with pytest.raises(dpu.Refused) as caught:
        box.confirm(box.resident().state["last"]["digest"])
    assert caught.value.code == "late"


def test_a_late_confirmation_finds_the_old_rules_even_without_a_daemon(box: Box) -> None:
    confirmed(box)
    mark = box.push(sequence=2, rules=[stage(NEW)], window=20)
    box.later(21)
    with pytest.raises(dpu.Refused) as caught:
        box.confirm(mark)
    assert caught.value.code == "late"
    assert has(box, 22)


def test_clocks_that_jump_move_no_deadline(box: Box) -> None:
    confirmed(box)
    box.push(sequence=2, rules=[stage(NEW)], window=20)
    for jump in (10**9, -(10**9)):
        box.wall += jump
        box.tick()
        assert has(box, 443)
    box.later(21)
    box.tick()
    assert has(box, 22)
    assert box.ask("status")["skew"] == 0


def test_somebody_rolls_back_while_it_waits_without_a_key(box: Box) -> None:
    confirmed(box)
    mark = box.push(sequence=2, rules=[stage(NEW)])
    assert box.ask("rollback", digest=mark)["confirmed"] is False
    assert has(box, 22)


def test_only_the_push_that_is_named_is_rolled_back_or_confirmed(box: Box) -> None:
    first = confirmed(box)
    mine = box.push(sequence=2, rules=[stage(NEW)], window=20)
    box.later(21)
    box.tick()
    for ask in (lambda: box.ask("rollback", digest=mine), lambda: box.confirm(mine)):
        assert code_of(ask) == "late"  # and what was confirmed goes on
        assert has(box, 22)
    other = box.push(sequence=3, rules=[stage(NEW)])
    for ask in (lambda: box.ask("rollback", digest="0" * 64), lambda: box.confirm("0" * 64)):
        assert code_of(ask) == "another-push"
    assert code_of(lambda: box.ask("rollback")) == "malformed"
    kind = "workbench-dpu-rollback"
    assert code_of(lambda: box.state_of(kind, dpu.CONFIRM, "rollback", bundle=first, sequence=4)) == "another-push"
    assert box.ask("status")["pending"]["digest"] == other
    assert has(box, 443)
    box.confirm(other)
    assert code_of(lambda: box.ask("rollback", digest=other)) == "kept"
    assert code_of(lambda: box.ask("rollback", digest=first)) == "nothing-pending"


def test_one_signature_does_not_end_all_rules(box: Box) -> None:
    """Only one step back is known: a second one would lead to nothing, and everything would pass."""
    marks = [confirmed(box, sequence=n, rules=[stage(text)]) for n, text in ((1, OLD), (2, NEW), (3, OLD))]
    kind = "workbench-dpu-rollback"
    box.state_of(kind, dpu.CONFIRM, "rollback", bundle=marks[2], sequence=4)
    assert has(box, 443)
    assert code_of(lambda: box.state_of(kind, dpu.CONFIRM, "rollback", bundle=marks[1], sequence=5)) == "nothing-before"
    assert has(box, 443)
    glass = {"break_glass": "ransomware", "lapses": int(box.wall) + 600}
    box.confirm(box.push(approver="", sequence=6, rules=[stage(OLD)], **glass))
    box.later(601)
    box.tick()
    assert has(box, 443)
    assert code_of(lambda: box.state_of(kind, dpu.CONFIRM, "rollback", bundle=marks[1], sequence=7)) == "nothing-before"
    assert has(box, 443)


def test_one_signature_does_not_end_all_numbers(box: Box) -> None:
    """Pushes and members go up in numbers: one that is as high as can be would be the last."""
    most = (1 << 53) - 1
    for given in ({"sequence": most}, {"sequence": most, "approver": "", "break_glass": "x", "lapses": int(box.wall) + 9}):
        assert code_of(lambda given=given: box.push(**given)) == "replayed"
    mark = confirmed(box)
    one = {"kind": "workbench-dpu-members", "namespace": dpu.MEMBERS, "what": "members", "bundle": mark, "sets": {}}
    assert code_of(lambda: box.state_of(**one, sequence=most, expiry=int(box.wall) + 9)) == "replayed"
    second = confirmed(box, sequence=2, rules=[stage(NEW)])
    back = {"kind": "workbench-dpu-rollback", "namespace": dpu.CONFIRM, "what": "rollback", "bundle": second}
    assert code_of(lambda: box.state_of(**back, sequence=most)) == "replayed"
    box.state_of(**back, sequence=1000)
    confirmed(box, sequence=1001, rules=[stage(NEW)])


def test_rules_that_could_not_be_told_are_rolled_back_at_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed(box)
    monkeypatch.setattr(dpu, "MOST", 4096 + 20)  # a line of them is more
    assert code_of(lambda: box.push(sequence=2, rules=[stage(NEW)])) == "too-large"
    assert not has(box, 443)
    assert box.ask("status")["pending"] is None
    quoted = 'comment "a"\n' * 300  # each quote is two bytes in what is sent
    monkeypatch.setattr(box.lines, "told", lambda: quoted, raising=False)
    monkeypatch.setattr(dpu, "MOST", 4096 + len(quoted) + 500)
    assert code_of(lambda: box.push(sequence=3, rules=[stage(NEW)])) == "too-large"
    assert box.ask("status")["pending"] is None


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(dpu.Refused) as caught:
        ask()
    return caught.value.code


def test_after_a_confirmation_rolling_back_needs_a_signature_and_a_number(box: Box) -> None:
    confirmed(box)
    mark = confirmed(box, sequence=2, rules=[stage(NEW)])
    kind = "workbench-dpu-rollback"
    cases = [({"bundle": mark, "sequence": 2}, "replayed"), ({"bundle": "0" * 64, "sequence": 3}, "wrong-previous")]
    for given, code in cases:
        with pytest.raises(dpu.Refused) as caught:
            box.state_of(kind, dpu.CONFIRM, "rollback", **given)
        assert caught.value.code == code
    with pytest.raises(dpu.Refused) as caught:
        box.ask("rollback", statement="{}", signature="")
    assert caught.value.code == "unsigned"
    text = dpu.canonical({"kind": kind, "target": "dpu1", "bundle": mark, "sequence": 3}).decode()
    with pytest.raises(dpu.Refused) as caught:
        box.ask("rollback", statement=text)
    assert caught.value.code == "unsigned"
    with pytest.raises(dpu.Refused) as caught:
        box.state_of("workbench-dpu-confirm", dpu.CONFIRM, "rollback", bundle=mark, sequence=3)
    assert caught.value.code == "malformed"
    with pytest.raises(dpu.Refused) as caught:
        box.state_of(kind, dpu.POLICY, "rollback", bundle=mark, sequence=3)
    assert caught.value.code == "wrong-namespace"
    assert has(box, 443)
    box.state_of(kind, dpu.CONFIRM, "rollback", bundle=mark, sequence=3)
    assert has(box, 22)
    with pytest.raises(dpu.Refused):  # its number is used up
        box.push(sequence=3, rules=[stage(NEW)])


def test_a_statement_for_another_dpu_confirms_nothing_here(box: Box) -> None:
    mark = box.push()
    text = dpu.canonical({"kind": "workbench-dpu-confirm", "target": "dpu2", "bundle": mark}).decode()
    with pytest.raises(dpu.Refused) as caught:
        box.ask("confirm", statement=text, signature=box.people.sign("ada", text, dpu.CONFIRM))
    assert caught.value.code == "wrong-target"


def test_a_restarted_switch_gets_the_confirmed_rules(box: Box) -> None:
    confirmed(box)
    box.lines.file.unlink()
    state = box.tick()
    assert has(box, 22)
    assert state["alerts"][-1]["code"] == "restored"
    assert len(state["gaps"]) == 1


def test_a_restart_in_the_window_leads_to_the_old_rules(box: Box) -> None:
    confirmed(box)
    box.push(sequence=2, rules=[stage(NEW)])
    box.lines.file.unlink()
    assert "lost its rules" in box.tick()["last"]["why"]
    assert has(box, 22)


def test_a_reboot_leads_to_the_confirmed_rules(box: Box) -> None:
    confirmed(box)
    box.push(sequence=2, rules=[stage(NEW)], window=60)
    box.restart()
    box.lines.fails = "ovs-ofctl: br0 is not a bridge or a socket"  # the switch is not up yet
    state = box.tick()
    assert state["down"]["message"] == box.lines.fails
    assert state["pending"]
    box.later(3)
    box.lines.fails = ""
    state = box.tick()
    assert has(box, 22)
    assert state["gaps"][-1]["seconds"] == 3.0
    assert state["down"] is None
    box.restart()
    box.tick()
    assert has(box, 22)


def test_a_push_over_edited_rules_goes_back_to_the_edited_ones(box: Box) -> None:
    confirmed(box)
    edited = box.lines.running().replace("tp_dst=22", "tp_dst=23")
    box.lines.file.write_text(edited.strip())
    box.push(sequence=2, rules=[stage(NEW)], window=20)
    box.later(21)
    box.tick()
    assert box.lines.running() == edited


def test_drift_is_named_and_over_when_it_is_put_right(box: Box) -> None:
    confirmed(box)
    assert box.ask("status")["drift"] is None
    kept = box.lines.file.read_text()
    box.lines.file.write_text(kept.replace("drop", "NORMAL"))
    drift = box.ask("status")["drift"]
    assert (len(drift["added"]), len(drift["removed"])) == (1, 1)
    assert "actions=NORMAL" in drift["added"][0]
    assert "actions=drop" in drift["removed"][0]
    assert drift["since"] == int(box.wall)
    box.later(50)
    assert box.ask("status")["drift"]["since"] == int(box.wall) - 50
    box.lines.file.write_text(kept)
    assert box.ask("status")["drift"] is None
    assert [one["code"] for one in box.resident().state["alerts"]] == ["drift", "drift-over"]


def test_rules_expire_when_their_time_is_over(box: Box) -> None:
    until = int(box.wall) + 100
    confirmed(box, rules=[stage(OLD + NEW.splitlines()[1] + "\n", until), stage(NEW)])
    assert has(box, 22, 443)
    box.later(99)
    box.tick()
    assert has(box, 22, 443)
    box.later(2)
    box.tick()
    assert has(box, 443)
    assert box.lines.loads == 2
    box.tick()
    assert box.lines.loads == 2


def test_rules_expire_over_a_reboot_too_and_not_by_a_clock_that_was_lost(box: Box) -> None:
    until = int(box.wall) + 100
    confirmed(box, rules=[stage(OLD, until), stage(NEW)])
    box.restart()
    box.wall = 0.0  # no battery
    box.tick()
    assert has(box, 22)
    box.later(50)
    box.tick()
    assert has(box, 22)
    box.wall = float(until + 5)  # and now it is set
    box.tick()
    assert has(box, 443)


def test_break_glass_is_marked_and_lapses_by_itself(box: Box) -> None:
    confirmed(box)
    lapses = int(box.wall) + 600
    mark = box.push(approver="", sequence=2, rules=[stage(NEW)], break_glass="ransomware", lapses=lapses)
    box.confirm(mark)
    assert box.ask("status")["confirmed"]["review"] is True
    box.later(601)
    box.tick()
    assert has(box, 22)
    assert box.ask("status")["confirmed"]["review"] is False


def test_break_glass_is_told_until_somebody_else_has_reviewed_it(box: Box) -> None:
    confirmed(box)
    kind, lapses = "workbench-dpu-review", int(box.wall) + 600
    mark = box.push(approver="", sequence=2, rules=[stage(NEW)], break_glass="ransomware", lapses=lapses)
    box.confirm(mark)
    box.later(601)
    box.tick()
    confirmed(box, sequence=3, rules=[stage(NEW)])
    waiting = box.ask("status")["unreviewed"]
    assert [(one["digest"], one["signer"], one["why"]) for one in waiting] == [(mark, "ada", "ransomware")]
    assert code_of(lambda: box.state_of(kind, dpu.APPROVAL, "review", bundle=mark)) == "self-approved"
    assert code_of(lambda: box.state_of(kind, dpu.CONFIRM, "review", "ben", bundle=mark)) == "wrong-namespace"
    assert code_of(lambda: box.state_of(kind, dpu.APPROVAL, "review", "ben", bundle="0" * 64)) == "nothing-pending"
    box.state_of(kind, dpu.APPROVAL, "review", "ben", bundle=mark)
    assert box.ask("status")["unreviewed"] == []
    one = box.resident()
    one.state["unreviewed"] = waiting * 50
    one.save()
    glass = {"break_glass": "again", "lapses": int(box.wall) + 600}
    assert code_of(lambda: box.push(approver="", sequence=4, rules=[stage(OLD)], **glass)) == "unreviewed"


def test_a_state_of_before_reviews_were_kept_is_read(box: Box) -> None:
    confirmed(box)
    one = box.resident()
    del one.state["unreviewed"]
    one.save()
    assert box.ask("status")["unreviewed"] == []


@pytest.mark.parametrize("waits", [False, True])
def test_rules_are_not_loaded_on_another_bridge(box: Box, waits: bool) -> None:
    """Neither from their bundle nor as they were read, and no way back leads there."""
    confirmed(box)
    if waits:
        box.push(sequence=2, rules=[stage(NEW)])
    box.lines.file.unlink()
    box.lines.bridge = "br1"
    box.later(1000)
    assert "is for ovs br0, and the config says ovs br1" in box.tick()["down"]["message"]
    with pytest.raises(dpu.Refused):
        box.resident().wanted(box.resident().state["confirmed"])
    assert box.lines.running() == ""
    assert box.ask("status")["confirmed"]


def members(box: Box, mark: str, sets: object, sequence: int = 1, expiry: int = 4_000_000_000) -> dict[str, object]:
    return box.state_of("workbench-dpu-members", dpu.MEMBERS, "members", bundle=mark, sequence=sequence, expiry=expiry, sets=sets)


def test_members_follow_under_a_lease(box: Box) -> None:
    mark = confirmed(box, rules=[stage(DENY + ALLOW)], sets=SETS)
    assert box.lines.running().count("10.1.0.1/32") == 2
    said = members(box, mark, {"train": ["10.1.0.2/32", "10.2.0.0/16"]})
    assert said["changed"] is True
    assert "10.1.0.1" not in box.lines.running()
    assert box.lines.running().count("\n") == 4
    for sets, sequence, code in (
        ({"train": ["11.0.0.1/32"]}, 2, "out-of-bounds"),
        ({"train": ["fd00::/64"]}, 2, "out-of-bounds"),
        ({"train": ["10.0.0.1/8"]}, 2, "malformed"),
        ({"train": ["10.1.0.1/32,actions=resubmit(,205)"]}, 2, "malformed"),
        ({"train": [], "more": []}, 2, "malformed"),
        ({"train": []}, 1, "replayed"),
    ):
        with pytest.raises(dpu.Refused) as caught:
            members(box, mark, sets, sequence)
        assert caught.value.code == code
    with pytest.raises(dpu.Refused) as caught:
        members(box, mark, {"train": []}, 2, int(box.wall))
    assert caught.value.code == "expired"
    box.later(601)
    box.tick()
    assert box.lines.running().count("actions=drop") == 2  # deny stays
    assert "NORMAL" not in box.lines.running()  # allow is gone
    members(box, mark, {"train": ["10.1.0.3/32"]}, 2)
    assert box.lines.running().count("10.1.0.3/32") == 2


def test_a_switch_that_refuses_leaves_the_old_rules(box: Box) -> None:
    confirmed(box)
    load = box.lines.load

    def refuse(text: str) -> None:
        if "443" in text:
            raise dpu.Refused("dataplane", "ovs-ofctl: no")
        load(text)

    box.lines.load = refuse  # type: ignore[method-assign]
    with pytest.raises(dpu.Refused) as caught:
        box.push(sequence=2, rules=[stage(NEW)])
    assert caught.value.code == "dataplane"
    assert has(box, 22)
    assert box.resident().state["pending"] is None


def test_rules_that_did_not_all_arrive_are_rolled_back(box: Box) -> None:
    confirmed(box)
    box.lines.missing = lambda text: ["table=200,tcp"] if "443" in text else []  # type: ignore[method-assign]
    with pytest.raises(dpu.Refused) as caught:
        box.push(sequence=2, rules=[stage(NEW)])
    assert caught.value.code == "read-back"
    assert has(box, 22)


def test_live_connections_are_adopted_the_first_time_only(box: Box) -> None:
    seen = []
    load = box.lines.load
    box.lines.load = lambda text: (seen.append("adopt" if "priority=1," in text else "rules"), load(text))[1]  # type: ignore
    adopt = f"delete {dpu._OVS_OURS}\ncookie={COOKIE}ffffff05,table=200,priority=1,ip,actions=resubmit(,205)\n"
    confirmed(box, adopt=adopt)
    confirmed(box, sequence=2, adopt=adopt, rules=[stage(NEW)])
    assert seen == ["adopt", "rules", "rules"]


def test_a_state_that_cannot_be_read_is_no_empty_one(box: Box) -> None:
    confirmed(box)
    (box.folder / "state.json").write_text("{}")
    with pytest.raises(dpu.Refused) as caught:
        box.ask("status")
    assert caught.value.code == "state"
    assert has(box, 22)


def test_what_somebody_changed_meanwhile_is_not_confirmed(box: Box) -> None:
    mark = box.push()
    box.lines.file.write_text(box.lines.file.read_text().replace("drop", "NORMAL"))
    with pytest.raises(dpu.Refused) as caught:
        box.confirm(mark)
    assert caught.value.code == "read-back"
    box.later(61)
    box.tick()
    assert box.lines.running() == ""


def test_old_rules_that_are_damaged_on_the_disk_are_not_loaded(box: Box) -> None:
    confirmed(box)
    box.lines.file.write_text(box.lines.file.read_text().replace("22", "23"))
    box.push(sequence=2, rules=[stage(NEW)])
    (box.folder / "old.rules").write_text("table=0,actions=drop\n")
    box.later(61)
    assert [one["code"] for one in box.tick()["alerts"]][-2:] == ["state", "rolled-back"]
    assert has(box, 22)


def test_how_long_rules_were_gone_counts_from_the_last_good_look(box: Box) -> None:
    confirmed(box)
    (box.folder / "watch.lock").write_text(f"{box.boot} {box.at}")
    box.later(7)
    box.lines.file.unlink()
    assert box.tick()["gaps"][-1]["seconds"] == 7.0


def test_bundles_that_are_not_needed_any_more_go(box: Box) -> None:
    for number, text in ((1, OLD), (2, NEW), (3, OLD)):
        confirmed(box, sequence=number, rules=[stage(text)])
    assert len(list((box.folder / "bundles").iterdir())) == 4  # confirmed and the one before, each with its signatures


def test_the_daemon_lives_on_whatever_it_meets(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    confirmed(box)
    fcntl.flock(box.watcher, fcntl.LOCK_UN)
    one = box.resident()
    box.lines.file.unlink()
    one.watch(rounds=2)
    assert has(box, 22)
    (box.folder / "state.json").write_text("{")
    one.watch(rounds=3)
    assert capsys.readouterr().err.count("state.json is no JSON") == 1


def test_a_switch_that_was_away_counts_from_the_last_good_look_too(box: Box) -> None:
    confirmed(box)
    (box.folder / "watch.lock").write_text(f"{box.boot} {box.at}")
    box.later(1)
    box.lines.fails = "gone"
    box.tick()
    box.later(2)
    box.lines.fails = ""
    box.lines.file.unlink()
    assert [gap["seconds"] for gap in box.tick()["gaps"]] == [3.0]
    assert has(box, 22)


@pytest.mark.parametrize("damage", ["lost", "altered"])
def test_a_confirmed_bundle_that_is_damaged_keeps_no_unconfirmed_rules(box: Box, damage: str) -> None:
    mark = confirmed(box)
    box.push(sequence=2, rules=[stage(NEW)])
    file = box.folder / "bundles" / f"{mark}.json"
    file.unlink() if damage == "lost" else file.write_text("{}")
    box.later(61)
    assert [one["code"] for one in box.tick()["alerts"]][-2:] == ["state", "rolled-back"]
    assert has(box, 22)
    assert len(box.tick(compare=True)["alerts"]) == len(box.tick()["alerts"])  # told once
    box.lines.file.unlink()
    box.tick()
    assert has(box, 22)
    box.push(sequence=3, rules=[stage(NEW)])  # and it is no end of pushes
    assert has(box, 443)


def test_with_everything_damaged_nothing_unconfirmed_stays(box: Box) -> None:
    mark = confirmed(box)
    box.push(sequence=2, rules=[stage(NEW)])
    (box.folder / "bundles" / f"{mark}.json").unlink()
    (box.folder / "old.rules").unlink()
    box.later(61)
    box.tick()
    assert box.lines.running() == ""


def test_a_way_that_can_never_be_gone_is_given_up(box: Box) -> None:
    first = confirmed(box)
    mark = confirmed(box, sequence=2, rules=[stage(NEW)])
    (box.folder / "bundles" / f"{first}.json").unlink()
    with pytest.raises(dpu.Refused) as caught:
        box.state_of("workbench-dpu-rollback", dpu.CONFIRM, "rollback", bundle=mark, sequence=3)
    assert caught.value.code == "state"
    state = box.tick()
    assert (state["going"], state["alerts"][-1]["code"]) == (None, "failed")
    assert has(box, 443)
    confirmed(box, sequence=4)
    assert has(box, 22)


def test_a_way_is_kept_while_the_switch_is_away(box: Box) -> None:
    confirmed(box)
    mark = confirmed(box, sequence=2, rules=[stage(NEW)])
    text = dpu.canonical({"kind": "workbench-dpu-rollback", "target": "dpu1", "bundle": mark, "sequence": 3}).decode()
    one = box.resident()
    box.lines.fails = "gone"
    with one.held(), pytest.raises(dpu.Refused):
        one.rollback({"statement": text, "signature": box.people.sign("ada", text, dpu.CONFIRM)})
    box.lines.fails = ""
    box.tick()
    assert has(box, 22)


def test_what_lapsed_goes_though_what_was_before_is_damaged(box: Box) -> None:
    first = confirmed(box)
    confirmed(box, sequence=2, rules=[stage(NEW)], lapses=int(box.wall) + 100)
    (box.folder / "bundles" / f"{first}.json").unlink()
    box.later(101)
    box.tick()
    assert box.lines.running() == ""


def test_a_switch_that_remembers_is_told_of_whichever_rules_were_loaded(box: Box) -> None:
    confirmed(box)
    box.lines.file.write_text(box.lines.file.read_text().replace("22", "23"))
    box.push(sequence=2, rules=[stage(NEW)])
    box.lines.remembers = "it can't be asked"
    box.later(61)
    assert [one["code"] for one in box.tick()["alerts"]][-2:] == ["remembers", "rolled-back"]
