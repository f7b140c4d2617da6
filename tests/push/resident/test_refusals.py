"""Every way in which a push is not what it must be has an answer of its own, and touches nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.push import compiling
from tests.push.resident.box import Box
from tests.push.resident.people import EVERYTHING, NEW, OLD, bundle, stage
from workbench.push import nft, ovs
from workbench.push.resident import workbench_dpu as dpu


def refused(box: Box, code: str, **ask: Any) -> None:
    before = box.lines.running()
    with pytest.raises(dpu.Refused) as caught:
        box.ask("apply", **ask)
    assert caught.value.code == code, caught.value.message
    assert box.lines.running() == before
    assert box.lines.loads == 0


def signed(box: Box, signer: str = "ada", approver: str = "ben", **given: Any) -> dict[str, Any]:
    text = dpu.canonical(bundle(**given)).decode()
    return {
        "bundle": text,
        "signature": box.people.sign(signer, text, dpu.POLICY),
        "approval": box.people.sign(approver, text, dpu.APPROVAL),
    }


def test_unsigned(box: Box) -> None:
    ask = signed(box)
    refused(box, "unsigned", **{**ask, "signature": None})
    refused(box, "unsigned", **{**ask, "signature": ""})


def test_bad_signatures(box: Box) -> None:
    ask = signed(box)
    for wrong in ("hello", 7, ask["signature"][:100], ask["signature"].replace("SIGNATURE", "SIGNATUR"), "A" * 70000):
        refused(box, "bad-signature", **{**ask, "signature": wrong})
    refused(box, "unknown-signer", **signed(box, signer="eve", author="eve"))


def test_wrong_namespace(box: Box) -> None:
    ask = signed(box)
    refused(box, "wrong-namespace", **{**ask, "signature": box.people.sign("ada", ask["bundle"], "file")})
    refused(box, "wrong-namespace", **{**ask, "signature": ask["approval"], "approval": ask["signature"]})


def test_somebody_who_may_only_do_something_else(box: Box) -> None:
    (box.folder / "allowed_signers").write_text(box.people.signers(namespaces="dpu-confirm"))
    refused(box, "wrong-namespace", **signed(box))


def test_altered(box: Box) -> None:
    ask = signed(box)
    refused(box, "altered", **{**ask, "bundle": ask["bundle"].replace('"window":60', '"window":61')})
    other = signed(box, sequence=2)
    refused(box, "altered", **{**ask, "approval": other["approval"]})
    refused(box, "altered", **signed(box, rules=[{"until": None, "text": NEW, "digest": stage(OLD)["digest"]}]))
    refused(box, "altered", **signed(box, policy={"name": "p", "text": "x", "digest": "0" * 64}))


def test_self_approved_and_unapproved(box: Box) -> None:
    ask = signed(box)
    refused(box, "unapproved", **{**ask, "approval": None})
    refused(box, "self-approved", **signed(box, approver="ada"))
    # the same person with a second key, and the same key under a second name
    (box.folder / "allowed_signers").write_text(
        box.people.signers(("ada",)) + box.people.signers(("eve",)).replace("eve ", "ada ", 1)
    )
    refused(box, "self-approved", **signed(box, approver="eve"))
    (box.folder / "allowed_signers").write_text(
        box.people.signers(("ada",)) + box.people.signers(("ada",)).replace("ada ", "two ", 1)
    )
    refused(box, "signers", **signed(box))


def test_somebody_elses_name_on_it(box: Box) -> None:
    refused(box, "wrong-author", **signed(box, author="ben"))


@pytest.mark.parametrize("options", ["", 'namespaces="*" ', 'namespaces="dpu-*" ', 'namespaces="" ', 'valid-after="20200101" '])
def test_keys_that_may_sign_for_everything_are_not_taken(box: Box, options: str) -> None:
    lines = box.people.signers().splitlines(keepends=True)
    bare = lines[1].replace(f'namespaces="{EVERYTHING}" ', options)
    assert bare != lines[1]
    (box.folder / "allowed_signers").write_text(lines[0] + bare)
    refused(box, "signers", **signed(box))


@pytest.mark.parametrize("line", ["ada,ben ssh-ed25519 AAAA", "* ssh-ed25519 AAAA", "ada cert-authority ssh-ed25519 AAAA", "ada"])
def test_signers_that_could_be_two_people_are_not_taken(box: Box, line: str) -> None:
    (box.folder / "allowed_signers").write_text(line + "\n")
    refused(box, "signers", **signed(box))


def test_other_targets(box: Box) -> None:
    refused(box, "wrong-target", **signed(box, target="dpu2"))
    refused(box, "wrong-target", **signed(box, dpu="e" * 32))
    refused(box, "wrong-target", **signed(box, bridge="br1"))
    refused(box, "wrong-target", **signed(box, dataplane="nft", rules=[stage("")]))


def test_expired_by_a_clock_that_does_not_go_back(box: Box) -> None:
    refused(box, "expired", **signed(box, expiry=int(box.wall)))
    box.ask("status")
    ask = signed(box, expiry=int(box.wall) + 10)
    box.later(20)
    box.wall -= 10_000
    refused(box, "expired", **ask)


def test_wrong_previous(box: Box) -> None:
    refused(box, "wrong-previous", **signed(box, previous="0" * 64))


def test_windows(box: Box) -> None:
    refused(box, "window-too-long", **signed(box, window=301))
    refused(box, "window-too-long", **signed(box), window=61)
    refused(box, "window-too-long", **signed(box), window=0)
    refused(box, "window-too-long", **signed(box), window="60")


def test_replayed(box: Box) -> None:
    text = dpu.canonical(bundle()).decode()
    ask = {
        "bundle": text,
        "signature": box.people.sign("ada", text, dpu.POLICY),
        "approval": box.people.sign("ben", text, dpu.APPROVAL),
    }
    mark = box.ask("apply", **ask)["digest"]
    box.confirm(mark)
    for _ in range(2):
        with pytest.raises(dpu.Refused) as caught:
            box.ask("apply", **ask)
        assert caught.value.code == "replayed"
    box.resident()


def test_two_at_once(box: Box) -> None:
    mark = box.push()
    with pytest.raises(dpu.Refused) as caught:
        box.push(sequence=2, rules=[stage(NEW)])
    assert caught.value.code == "busy"
    box.confirm(mark)
    assert "tp_dst=22" in box.lines.running()
    one = box.resident()
    with one.held(), pytest.raises(dpu.Refused) as caught, box.resident().held(0.1):
        pass
    assert caught.value.code == "busy"


def test_other_protocols(box: Box) -> None:
    for protocol in (0, 1, 3, "2", None, 2.5):
        with pytest.raises(dpu.Refused) as caught:
            box.resident().answer({"protocol": protocol, "ask": "status"})
        assert caught.value.code == "old-protocol"


def test_nobody_to_roll_back(box: Box) -> None:
    import fcntl

    fcntl.flock(box.watcher, fcntl.LOCK_UN)
    refused(box, "unguarded", **signed(box))


def test_break_glass_is_short(box: Box) -> None:
    ask = signed(box, break_glass="ransomware", lapses=int(box.wall) + 3700)
    refused(box, "break-glass-too-long", **{**ask, "approval": None})
    ask = signed(box, break_glass="ransomware", lapses=None)
    refused(box, "break-glass-too-long", **{**ask, "approval": None})


@pytest.mark.parametrize(
    "line",
    [
        "table=0,priority=1 actions=drop",
        "cookie=0x0,table=0 actions=drop",
        "cookie=0x5742433100000001,cookie=0x1,table=0 actions=drop",
        "delete table=0",
        "delete cookie=0x0/0x0",
        "delete cookie=0x5742433100000000/0xffff000000000000",
        "modify cookie=0x5742433100000001,table=0 actions=drop",
        "cookie=0x5742433100000001,table=0 actions=learn(table=1,cookie=0x1)",
        "cookie=0x5742433100000001,table=0 actions=CONTROLLER:65535",
        "cookie=0x57424331000000010,table=0 actions=drop",
        "cookie=0x5742433100000001,table=0",
        "table=0 actions=drop,cookie=0x5742433100000001",
        "table=0,priority=65535,action=drop #cookie=0x5742433100000001,actions=drop",
        "table=0,priority=65535,action=controller #cookie=0x5742433100000001,actions=drop",
        "cookie=0x5742433100000001,table=200,priority=1,action=learn(table=1),actions=drop",
        "cookie=0x5742433100000001,table=0,priority=0,actions=drop",
        "cookie=0x5742433100000001,table=0,priority=65535,reg15=0,actions=drop",
        "cookie=0x5742433100000001,table=100,priority=1,actions=drop",
        "cookie=0x5742433100000001,table=218,priority=1,actions=drop",
        "cookie=0x5742433100000001,table=200,priority=1,actions=output:1",
        "cookie=0x5742433100000001,table=200,priority=1,actions=resubmit(,7)",
        "cookie=0x5742433100000001,table=200,priority=1,ip,actions=drop\0",
        "cookie=0x5742433100000001,table=200,priority=1,ip,actions=drop\rdelete",
        "cookie=0x5742433100000001,table=200,priority=1,ip,actions=drop #x",
        " delete " + dpu._OVS_OURS,
        "delete  " + dpu._OVS_OURS,
    ],
)
def test_rules_of_others(box: Box, line: str) -> None:
    refused(box, "not-ours", **signed(box, rules=[stage(OLD + line + "\n")]))


def test_flows_of_others_where_ours_go_stop_a_push(box: Box) -> None:
    box.lines.taken = "a flow of somebody else is in table 200"
    refused(box, "occupied", **signed(box))


def test_flows_of_others_are_told_no_further_than_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = dpu.Dataplane({"dataplane": "ovs", "bridge": "br0"})
    ours = "cookie=0x5742433100000001, table=200, priority=7,ip actions=drop"
    theirs = ["cookie=0x5, priority=3,in_port=%d actions=output:2" % port for port in range(9)]  # noqa: UP031
    away = "cookie=0x5, table=44, priority=3 actions=drop"
    monkeypatch.setattr(plane, "_do", lambda _words: "".join(f" {line}\n" for line in [ours, *theirs, away]))
    assert plane.told() == f"{ours}\ncookie=0x5, table=0, priority=3 actions=\n"
    assert plane.occupied() == ""
    for taken in ("cookie=0x0, table=217, priority=1 actions=drop", "cookie=0x0, priority=65535,ip actions=drop"):
        monkeypatch.setattr(plane, "_do", lambda _words, taken=taken: f" {ours}\n {taken}\n")
        assert "somebody else" in plane.occupied()


def test_what_the_compilers_write_is_taken() -> None:
    for seed in range(8):
        for kind, compile_rules in (("ovs", ovs.compile_rules), ("nft", nft.compile_rules)):
            made = compile_rules(compiling.resolved(random.Random(seed)))
            dpu.check_ours(kind, made.text, set())
            dpu.check_ours(kind, made.adopt, set())


T = dpu.TABLE


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (
            f"add table inet {T}\ndelete table inet {T}\ntable inet {T} {{\n chain entry {{ type filter; }}\n}}\n",
            True,
        ),
        (f'table inet {T} {{\n chain entry {{ ip saddr 10.0.0.1 counter drop comment "}} x #" }}\n}}\n', True),
        (f"add element inet {T} s {{ 10.0.0.1 }}\n", False),
        (f"table inet {T} {{\n chain entry {{ ip saddr 10.0.0.1 meta mark set 1 }}\n}}\n", False),
        (f"table inet {T} {{\n chain entry {{ dnat to 10.0.0.1 }}\n}}\n", False),
        (f"table inet {T} {{\n chain entry {{ type nat hook output priority 0; }}\n}}\n", False),
        (f"table inet {T} {{\n chain entry {{ queue num 1 }}\n}}\n", False),
        (f"table inet {T} {{\n chain entry {{ add @a0 {{ ip saddr }} }}\n}}\n", False),
        (f"table inet {T} {{\n chain entry {{ drop # x\n}}\n}}\n", False),
        (f"table inet {T} {{\n chain entry {{ drop }}\0\n}}\n", False),
        ("flush ruleset\n", False),
        ("table inet other {\n}\n", False),
        (f"table inet {T} {{\n}}\ndelete table inet other\n", False),
        (f"table inet {T} {{\n}} ; flush ruleset\n", False),
        (f"table inet {T} {{ }} flush ruleset\n", False),
        (f"table inet {T} {{\n}} table ip x {{\n}}\n", False),
        (f"add table inet {T}; flush ruleset\n", False),
        (f"add rule inet {T} c drop; flush ruleset\n", False),
        ('include "/etc/passwd"\n', False),
        (f'table inet {T} {{\n include "/etc/passwd"\n}}\n', False),
        (f"table inet {T} {{\n}}\n}}\n", False),
        (f"table inet {T} {{\n", False),
        (f"table inet {T} {{ \\\n}}\n", False),
        (f"table inet {T}x {{\n}}\n", False),
        (f"table ip {T} {{\n}}\n", False),
    ],
)
def test_tables_of_others(text: str, ours: bool) -> None:
    if ours:
        dpu.check_ours("nft", text, set())
        return
    with pytest.raises(dpu.Refused) as caught:
        dpu.check_ours("nft", text, set())
    assert caught.value.code == "not-ours"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"version": True}, {"kind": "x"}, {"sequence": 0}, {"sequence": "1"}, {"sequence": 1 << 60},
        {"previous": "x"}, {"expiry": -1}, {"window": 0}, {"rules": []}, {"rules": [1]}, {"rules": [stage(OLD, 5)]},
        {"rules": [stage(OLD, 9), stage(OLD, 5), stage(OLD)]}, {"ids": {"1": 2}}, {"sets": {"a b": {}}}, {"more": 1},
        {"policy": {}}, {"adopt_seconds": 31}, {"author": ""}, {"lapses": "x"}, {"test_report": []},
    ],
)  # fmt: skip
def test_bundles_that_are_none(box: Box, change: dict[str, Any]) -> None:
    refused(box, "malformed", **signed(box, **change))


def test_bundles_in_another_form(box: Box) -> None:
    import json

    loose = json.dumps(bundle())
    for text in (
        loose,
        "[]",
        "x",
        "",
        None,
        3,
        "{}",
        '{"version":1,"version":1}',
        "[" * 100_000,
        "[[],[]]",
        '{"a":' + "1" * 40 + "}",
    ):
        sign = box.people.sign("ada", text, dpu.POLICY) if isinstance(text, str) else "x"
        refused(box, "malformed", bundle=text, signature=sign)


def test_nothing_is_read_that_nobody_signed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = signed(box, signer="eve")
    monkeypatch.setattr(dpu, "parse_bundle", lambda _text: pytest.fail("it was read"))
    refused(box, "unknown-signer", **ask)
    refused(box, "bad-signature", **{**ask, "bundle": "[" * 100_000, "signature": "x"})


@pytest.mark.parametrize(
    "body", ["[" * 40, "[" + "[]," * 1_100_000 + "[]]", '{"a":' + "9" * 5000 + "}", "[" + '"",' * 1_100_000 + '""]']
)
def test_json_that_costs_more_than_its_bytes_is_not_begun(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpu.json, "loads", lambda *_words, **_more: pytest.fail("it was begun"))
    with pytest.raises(dpu.Refused):
        dpu.parse_object(body.encode(), "malformed", "it")


def test_texts_may_hold_what_json_may_not() -> None:
    said = {"a": "[" * 99 + "9" * 99 + '\\"[[\\', "b": [1, {"c": "]"}]}
    assert dpu.parse_object(dpu.canonical(said), "malformed", "it") == said


def test_members_that_make_too_many_lines_are_counted_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"10.0.{n // 256}.{n % 256}/32" for n in range(1000)]
    line = "nw_src=@{a/4},nw_dst=@{b/4}\n"
    assert len(dpu.expand(line, {"a": many, "b": many[:300]}, False).splitlines()) == 300_000
    with pytest.raises(dpu.Refused) as caught:
        dpu.expand(line, {"a": many, "b": many}, False)
    assert caught.value.code == "too-large"


def test_a_daemon_that_saw_nothing_in_order_of_late_guards_nothing(box: Box) -> None:
    box.look()
    box.sees = False
    ask = signed(box)
    box.later(61)
    refused(box, "unguarded", **ask)
    box.later(-61)
    box.boot = "another"
    refused(box, "unguarded", **ask)


def test_no_space_for_what_must_be_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ask = signed(box)
    monkeypatch.setattr(dpu.os, "fsync", full)
    refused(box, "no-space", **ask)
    monkeypatch.undo()
