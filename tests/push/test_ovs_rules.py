from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from tests.push import compiling
from workbench.errors import PolicyError
from workbench.policy.resolved import Resolved
from workbench.push import compiled
from workbench.push.compiled import OvsLayout, Sampling, point
from workbench.push.ovs import compile_rules, prove, read_flows
from workbench.push.ovs.reading import FlowTextError
from workbench.push.resident import workbench_dpu as dpu

OURS = OvsLayout().ours


def dumped(text: str) -> str:
    """As `ovs-ofctl dump-flows` says what add-flows was given."""
    lines = ["NXST_FLOW reply (xid=0x4):"]
    for line in text.splitlines():
        if not line.startswith("delete "):
            said = line.replace(",actions=", " actions=").replace(",table=", ", duration=1.5s, table=", 1)
            lines.append(" " + said.replace(",priority=", ", n_packets=7, n_bytes=99, idle_age=1, priority=", 1))
    return "\n".join(lines)


def test_random_policies_are_proven_from_the_text_and_from_a_dump() -> None:
    for seed in range(25):
        dice = random.Random(seed)
        meant, serves = compiling.resolved(dice), compiling.served(dice)
        made = compile_rules(meant, serves=serves)
        for said in (made.text, dumped(made.text)):
            proof = prove(made, meant, said, serves)
            assert proof.equal, (seed, proof.problems, [one.text() for one in proof.examples])


def test_a_policy_is_not_proven_by_another_ones_flows() -> None:
    wrong = 0
    for seed in range(10):
        one, other = compiling.resolved(random.Random(seed)), compiling.resolved(random.Random(seed + 1000))
        made = compile_rules(one)
        wrong += not prove(made, other, compile_rules(other).text).equal or not prove(made, other).equal
    assert wrong > 7


def changed(meant: Resolved, find: str, instead: str) -> tuple[bool, str]:
    made = compile_rules(meant)
    text = re.sub(find, instead, made.text, count=1)
    assert text != made.text
    proof = prove(made, meant, text)
    return proof.equal, " ".join([*proof.problems, *(one.text() for one in proof.examples)])


@pytest.mark.parametrize(
    ("find", "instead", "said"),
    [
        pytest.param("tp_dst=443,", "tp_dst=444,", "by contain/no-guests", id="another-port"),
        pytest.param(".*dl_type=0x8100.*\n", "", "VLAN tags within tags (0x8100)", id="tags-pass"),
        pytest.param("dl_type=0x88a8,actions=drop", "dl_type=0x88a8,actions=resubmit(,205)", "(0x88a8)", id="other-tags-pass"),
        pytest.param("nw_src=10.30.0.0/24", "nw_src=10.30.0.0/25", "10.30.0.128 ", id="half-a-prefix"),
        pytest.param("table=212,priority=65000,tcp,", "table=212,priority=65000,udp,", "a reply", id="replies-get-through"),
        pytest.param("ct_state=.inv.trk,actions=drop", "ct_state=+inv+trk,actions=resubmit(,205)", "invalid", id="invalid"),
        pytest.param(r"cookie=\S+,table=200,priority=0\S+\n", "", "not IP", id="arp"),
        pytest.param(r"cookie=\S+icmp_type=135\S+\n", "", "proto 58, ports 135", id="neighbour-discovery"),
        pytest.param(r"cookie=\S+ipv6_src=::ffff\S+\n", "", "IPv4 src", id="mapped"),
        pytest.param(r"reg15=0,", "reg15=0,tcp,", "(plumbing)", id="a-hook-that-leaves-packets-out"),
        pytest.param(r"actions=ct_clear,", "actions=", "our connection tracking", id="tracked-for-others"),
        pytest.param(r"resubmit\(,203\)", "output:3", "not ours", id="unknown-action"),
        pytest.param("reg15=0x10000003,actions=ct", "reg15=0x10000003,actions=resubmit(,205),ct", "not ours", id="order"),
        pytest.param(r"ct\(commit,zone=64200,exec\(set_field:0x\w+3->ct_label\)\),", "", "not remembered", id="no-commit"),
        pytest.param("->ct_label", "->ct_mark", "not ours", id="mark"),
    ],
)  # fmt: skip
def test_every_change_is_noticed(find: str, instead: str, said: str) -> None:
    equal, told = changed(compiling.contain(), find, instead)
    assert not equal
    assert said in told


def test_flows_of_others_are_left_alone_but_not_in_our_way() -> None:
    meant = compiling.contain()
    made = compile_rules(meant)
    others = "cookie=0x1, table=0, priority=100,ip,nw_dst=10.1.2.3,weird=what actions=output:7\n"
    assert prove(made, meant, made.text + others).equal
    for where, word in (("table=206, priority=7", "in our table 206"), ("table=0, priority=65535", "before our hook")):
        proof = prove(made, meant, made.text + f"cookie=0x1, {where},ip actions=NORMAL\n")
        assert word in proof.problems[0]


def test_without_the_flows_of_an_expired_rule_the_rest_of_the_policy_holds() -> None:
    for seed in range(10):
        meant = compiling.resolved(random.Random(seed))
        made = compile_rules(meant)
        for gone in meant.rules:
            number = next(n for n, rule_id in made.ids.items() if rule_id == gone.rule_id)
            left = "\n".join(line for line in made.text.splitlines() if not line.startswith(f"cookie={OURS << 32 | number:#x},"))
            without = replace(meant, rules=tuple(rule for rule in meant.rules if rule is not gone))
            proof = prove(made, without, left)
            assert proof.equal, (seed, gone.rule_id, proof.problems, [one.text() for one in proof.examples])


def test_numbers_stay_with_their_rules() -> None:
    first = compile_rules(compiling.contain())
    assert {n: first.ids[n] for n in range(4)} == {
        0: "contain/no-guests", 1: "contain/skip", 2: "contain/odd", 3: "contain/work",
    }  # fmt: skip
    assert first.ids[compiled.DEFAULT] == "contain/default"
    meant = compiling.contain(**{"name: skip": "name: other"})
    again = compile_rules(meant, before=first.ids)
    assert [again.ids[n] for n in (1, 3, 4)] == ["contain/skip", "contain/work", "contain/other"]
    assert prove(again, meant).equal


def test_conjunctions_are_used_where_they_are_fewer_flows() -> None:
    many = ", ".join(f"10.{n}.0.0/16" for n in range(0, 40, 2))
    meant = compiling.contain(**{"10.20.0.0/24": many, "10.30.0.0/24": many.replace("10.", "11.")})
    made = compile_rules(meant)
    assert made.text.count("conj_id=") == 4  # of IPv4: three rules, and the replies to one
    assert made.report.lines < 400
    assert prove(made, meant).equal
    assert not prove(made, meant, made.text.replace(",2/3)", ",1/3)", 1)).equal


def test_what_open_vswitch_cannot_do_is_said() -> None:
    notes = compile_rules(compiling.contain()).report.notes
    said = {(note.kind, note.rule_id) for note in notes}
    assert {("reject", "contain/odd"), ("log", "contain/no-guests"), ("cut", "contain/no-guests")} <= said
    with pytest.raises(PolicyError, match=r"contain/odd: Open vSwitch knows no ports of protocol 33"):
        compile_rules(compiling.contain(**{"tcp/1000-1999": "dccp/7"}))
    with pytest.raises(PolicyError, match="tables 250 to 267"):
        compile_rules(compiling.contain(), OvsLayout(table=250))


def test_what_is_said_of_sctp() -> None:
    for words, told in (("sctp/36412", True), ("sctp", False), ("tcp/9", False)):
        made = compile_rules(compiling.contain(**{"tcp/9, tcp/8000": words}))
        assert [note.rule_id for note in made.report.notes if note.kind == "sctp"] == ["contain/work"] * told


def test_logging_is_sampling_where_that_is_allowed() -> None:
    layout = OvsLayout(sampling=Sampling.one_in(65))
    meant = compiling.contain()
    made = compile_rules(meant, layout)
    told = "sample(probability=1008,collector_set_id=22338,obs_domain_id=1463960369,obs_point_id=1459617792)"
    flows = [line for line in made.text.splitlines() if "sample(" in line]
    assert all(line.endswith(f",actions={told}") for line in flows)
    # what is new, and what lives and is cut, as it goes and as a reply
    assert [line.split("priority=")[1].split(",")[0] for line in flows] == ["500", "500", "300"]
    assert prove(made, meant).equal
    assert point(7) == 0x57000007
    assert (layout.sampling.collector_set if layout.sampling else 0) == dpu.SAMPLES
    assert Sampling.one_in(0) is None
    assert "sample(" not in compile_rules(meant).text


def test_an_expiring_and_a_cutting_rule_are_named_for_the_resident() -> None:
    made = compile_rules(compiling.contain())
    assert made.expires == {0: "2h"}
    assert made.cut == (0,)
    assert made.text.splitlines()[0] + "\n" == made.remove == "delete cookie=0x5742433100000000/0xffffffff00000000\n"
    assert len(made.digest) == 64


@pytest.mark.parametrize(
    "line",
    [
        "cookie=0x5742433100000000, table=1, priority=1,ip,nw_src=10.0.0.1;reboot actions=drop",
        "cookie=0x5742433100000000, table=1, priority=1,ipv6,nw_src=10.0.0.1 actions=drop,)",
        "cookie=0x5742433100000000, table=1, priority=1,tp_dst=5 actions=drop",
        "cookie=0x5742433100000000, table=1, priority=1,tcp,tp_dst=5/0xff00 actions=drop",
        "cookie=0x5742433100000000, table=1, priority=1,ct_state=+new+what actions=drop",
        "cookie=0x5742433100000000, table=1, priority=1,in_port=2 actions=drop",
        "cookie=0x5742433100000000, table=1, priority=1,idle_timeout=60 actions=drop",
        "cookie=0x5742433100000000, table=1, priority=1,ipv6_src=fd00::/8 actions=drop",
        "cookie=" + "9" * 5000 + ", table=1 actions=drop",
        "cookie=0x5742433100000000, table=1 actions=ct(commit",
        "\x1b[2J",
    ],
)
def test_lines_that_our_flows_never_have_are_refused_with_their_number(line: str) -> None:
    with pytest.raises(FlowTextError, match="line 2: ") as caught:
        read_flows("\n" + line, OURS)
    assert "\x1b" not in str(caught.value)
