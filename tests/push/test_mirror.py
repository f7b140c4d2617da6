"""Plans of mirrors, from databases written by hand (tests/push/databases.py says what that means)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.push.databases import Database, doca, two_bridges, uuid
from workbench.errors import ExternalError, UsageError
from workbench.push import mirror, sight
from workbench.push.ovsdb import configuration, digest, parse, read_words

ME, WHEN = "ann@desk", "2026-01-02T03:04:05Z"


def plan(database: Database, **wish: Any) -> mirror.Setup:
    return mirror.plan_setup(database.switch(), ME, WHEN, **wish)


def carried_out(database: Database, made: mirror.Setup, owner: str = ME) -> Database:
    """The database after the switch did what the plan says."""
    marks = dict(re.findall(r'external_ids:([\w-]+)=("[^"]*")', " ".join(made.words)))
    ids = {**{key: json.loads(value) for key, value in marks.items()}, mirror.OWNER: owner}
    database.port(made.name, "internal", **ids)
    database.joined(made.bridge, "ports", uuid(f"p-{made.name}"))
    database.mirror(made.bridge, made.name, made.name, made.ports, **ids)
    return database


def test_one_transaction_makes_all_and_marks_it() -> None:
    made = plan(two_bridges(), ports=["p0", "pf0vf0"])
    assert (made.bridge, made.ports) == ("ovsbr1", ("p0", "pf0vf0"))
    assert made.words[:3] == mirror.CHANGE
    assert made.words.count("ovs-vsctl") == 1
    line = " ".join(made.words)
    assert f"-- add-port ovsbr1 {made.name} -- set Interface {made.name} type=internal mtu_request=1500 --" in line
    assert "--id=@p0 get Port p0 -- --id=@p1 get Port pf0vf0" in line
    assert "select_src_port=@p0,@p1 select_dst_port=@p0,@p1" in line
    assert line.endswith("-- add Bridge ovsbr1 mirrors @new")
    assert line.count(f'external_ids:workbench-owner="{ME}"') == 2
    assert len(made.name) <= 15  # the kernel's longest name of an interface


def test_all_ports_of_the_only_bridge_need_no_names() -> None:
    only = Database()
    only.bridge("br0", ["p0"])
    made = plan(only)
    assert made.bridge == "br0"
    assert "select_all=true" in made.words


def test_the_same_wish_has_the_same_name_and_another_owner_another() -> None:
    one, other = plan(two_bridges(), ports=["p0", "pf0hpf"]), plan(two_bridges(), ports=["pf0hpf", "p0", "p0"])
    assert one.name == other.name
    assert mirror.name_of("bob@desk", "ovsbr1", ["p0", "pf0hpf"]) != one.name
    there = carried_out(two_bridges(), one)
    again = plan(there, ports=["pf0hpf", "p0"])
    assert (again.words, again.name) == ((), one.name)
    assert again.after == one.after


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        pytest.param({}, "several bridges", id="no-bridge-named"),
        pytest.param({"bridge": "ovsbr3"}, "no bridge ovsbr3", id="bridge"),
        pytest.param({"ports": ["p0", "p1"]}, "on ovsbr1 and ovsbr2", id="two-bridges"),
        pytest.param({"ports": ["pf0vf9"]}, "no bridge has a port pf0vf9", id="port"),
        pytest.param({"bridge": "ovsbr1", "ports": ["pf0hfp"]}, "has no port pf0hfp", id="near"),
        pytest.param({"ports": ["--", "destroy"]}, "no port that is taken", id="option"),
        pytest.param({"ports": ["p0;reboot"]}, "no port that is taken", id="shell"),
        pytest.param({"bridge": "ovsbr1\n"}, "no bridge that is taken", id="newline"),
        pytest.param({"bridge": "\x1b[2J"}, "no bridge that is taken", id="escape"),
    ],
)
def test_names_that_are_not_there_or_are_hostile_are_refused(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        plan(two_bridges(), **wish)
    assert caught.value.remedy


def test_an_interface_of_a_bond_is_told_its_port() -> None:
    bonded = Database()
    bonded.bridge("br0", [])
    bonded.port("bond0", interfaces=["p0", "p1"])
    bonded.joined("br0", "ports", uuid("p-bond0"))
    with pytest.raises(UsageError, match="interface of the port bond0"):
        plan(bonded, bridge="br0", ports=["p1"])
    assert plan(bonded, ports=["bond0"]).ports == ("bond0",)


def test_a_name_that_is_somebody_elses_is_not_taken_over() -> None:
    squatted = two_bridges()
    name = mirror.name_of(ME, "ovsbr1", ["p0"])
    squatted.port(name)
    squatted.joined("ovsbr2", "ports", uuid(f"p-{name}"))
    with pytest.raises(ExternalError, match="isn't marked as ours"):
        plan(squatted, ports=["p0"])


def test_a_bridge_without_room_is_refused() -> None:
    full = two_bridges()
    for number in range(mirror.MOST):
        full.mirror("ovsbr1", f"m{number}", "p0")
    with pytest.raises(ExternalError, match="32 mirrors"):
        plan(full, ports=["p0"])


def test_teardown_removes_ours_and_the_rest_is_as_it_was() -> None:
    before = two_bridges()
    before.mirror("ovsbr1", "theirs", "pf0hpf", ["p0"])
    made = plan(before, ports=["p0"])
    there = carried_out(before, made)
    ((one,), left) = mirror.plan_teardown(there.switch(), ME)
    assert left == []
    line = " ".join(one.words)
    assert f"remove Bridge ovsbr1 mirrors m-{made.name}" in line
    assert line.endswith(f"del-port ovsbr1 {made.name}")
    assert "theirs" not in line
    assert line.index("wait-until") < line.index("remove")  # nothing is removed that isn't ours any more
    assert mirror.put_back(there.switch(), digest(made.prior))
    there.rows["Port"][0]["external_ids"] = ["map", [["who", "else"]]]
    assert not mirror.put_back(there.switch(), digest(made.prior))


def test_only_what_is_asked_for_and_ones_own_is_removed() -> None:
    there = carried_out(two_bridges(), plan(two_bridges(), ports=["p0"]), "bob@elsewhere")
    carried_out(there, plan(two_bridges(), ports=["p1"]))
    mine, left = mirror.plan_teardown(there.switch(), ME)
    assert [one.ours.ports for one in mine] == [("p1",)]
    assert [one.owner for one in left] == ["bob@elsewhere"]
    assert mirror.plan_teardown(there.switch(), ME, bridge="ovsbr1")[0] == []
    assert len(mirror.plan_teardown(there.switch(), None)[0]) == 2
    assert [one.ours.ports for one in mirror.plan_teardown(there.switch(), None, ports=["p0"])[0]] == [("p0",)]


def test_what_somebody_left_of_a_mirror_is_removed_too() -> None:
    made = plan(two_bridges(), ports=["p0"])
    there = carried_out(two_bridges(), made)
    there.rows["Mirror"].clear()
    there.rows["Bridge"][0]["mirrors"] = ["set", []]
    ((one,), _left) = mirror.plan_teardown(there.switch(), ME)
    assert "remove" not in one.words
    assert one.words[-1] == made.name
    with pytest.raises(ExternalError, match="only its port is left"):
        plan(there, ports=["p0"])


def test_a_mark_on_a_row_of_another_name_is_not_believed() -> None:
    forged = two_bridges()
    forged.mirror("ovsbr1", "theirs", "p0", ["p0"], **{mirror.MARK: "wbm0123456789", mirror.OWNER: ME})
    assert mirror.plan_teardown(forged.switch(), None) == ([], [])


def test_anothers_mirror_on_our_port_is_not_broken() -> None:
    made = plan(two_bridges(), ports=["p0"])
    there = carried_out(two_bridges(), made)
    there.mirror("ovsbr1", "theirs", made.name, ["p0"])
    with pytest.raises(ExternalError, match="theirs, which isn't ours, uses the port"):
        mirror.plan_teardown(there.switch(), ME)


def test_what_was_made_is_compared_with_what_was_asked_for() -> None:
    made = plan(two_bridges(), ports=["p0"])
    there = carried_out(two_bridges(), made)
    assert mirror.check_made(there.switch(), made).name == made.name
    there.rows["Mirror"][0]["snaplen"] = 64
    with pytest.raises(ExternalError, match="changed by somebody"):
        mirror.check_made(there.switch(), made)
    there.rows["Mirror"][0]["snaplen"] = ["set", []]
    there.rows["Interface"][-1] |= {"ofport": -1, "error": "could not open network device"}
    with pytest.raises(ExternalError, match="could not open network device"):
        mirror.check_made(there.switch(), made)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{}\n" * 5, id="no-headings"),
        pytest.param("[" * 100_000 + "\n" + "{}\n" * 4, id="deep"),
        pytest.param('{"headings":["_uuid"],"data":[[["uuid","a"],1]]}\n' * 5, id="uneven"),
    ],
)
def test_what_is_no_database_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ExternalError, match=r"can't be read|tables"):
        parse(text)


def test_counters_and_states_are_no_configuration() -> None:
    one, other = two_bridges(), two_bridges()
    other.rows["Interface"][0] |= {"ofport": 9, "mtu": 9000, "statistics": ["map", [["rx_packets", 8]]]}
    assert configuration(one.switch()) == configuration(other.switch())
    assert read_words().count("--") == 5


# what can't be seen


def unseen(database: Database, ports: list[str], said: str, *, through_mirror: bool = True) -> str:
    switch = database.switch()
    bridge = next(one for one in switch.bridges if not ports or any(port.name in ports for port in one.ports))
    return "\n".join(sight.unseen(switch, bridge, ports, sight.parse_probe(said), mirror=through_mirror))


def test_a_capture_at_an_offloaded_representor_says_that_it_sees_first_packets_only() -> None:
    said = unseen(two_bridges(), ["pf0hpf"], "     12 offloaded pf0hpf\n      3 software p0\n", through_mirror=False)
    assert "12 flows are there now" in said
    assert "ERSPAN" in said
    assert "offload" not in unseen(two_bridges(x="y"), ["pf0hpf"], "3 software p0\n", through_mirror=False)


def test_a_mirror_on_an_offloading_switch_says_what_it_may_cost() -> None:
    said = unseen(two_bridges(), ["p0"], "5 offloaded p0\n2 offloaded p1\n")
    assert "5 flows of these ports" in said
    assert "ovsbr2" in said
    assert sight.offloading(two_bridges().switch(), sight.Probed())
    assert sight.offloading(two_bridges(x="y").switch(), sight.parse_probe("1 offloaded p0\n"))
    assert not sight.offloading(two_bridges(x="y").switch(), sight.parse_probe("1 software p0\n"))


def test_what_passes_by_the_switch_is_named() -> None:
    said = unseen(doca(), ["pf0vf0"], "rdma /sys/class/infiniband/mlx5_0/ports/1/link_layer InfiniBand\nnvlink\nipsec 2\n")
    assert "mlx5_0/1 is InfiniBand" in said
    assert "NVLink between" in said
    assert "IPsec is in use" in said
    assert "br-ovn has a controller" in said
    assert "ovsbr" not in said


def test_a_switch_that_does_not_say_is_not_taken_for_one_without_offload() -> None:
    assert "not known" in unseen(two_bridges(), ["p0"], "failed offloaded\n")
    assert sight.parse_probe("").offloaded == {}
    assert sight.parse_probe("9 offloaded \x1b[2J p0\nipsec 0\nrdma /sys/class/infiniband/../x/ports/1/link_layer a\n") == (
        sight.Probed({}, {})
    )


# what a DPU's database, or a person, may say to be obeyed instead of read

HOSTILE = [
    pytest.param("--", id="end-of-command"),
    pytest.param("-- --all destroy Bridge", id="ovs-vsctl"),
    pytest.param("--db=tcp:198.51.100.9:6640", id="option"),
    pytest.param("-oProxyCommand=reboot", id="ssh-option"),
    pytest.param("p0;reboot", id="shell"),
    pytest.param("$(reboot)", id="substitution"),
    pytest.param("p0\nreboot", id="line"),
    pytest.param("p0' 'x", id="quote"),
    pytest.param('p0","x":"', id="json"),
    pytest.param("p0,p1=@new", id="set"),
    pytest.param("../../etc/x", id="path"),
    pytest.param("p0\u202e0p", id="direction"),
    pytest.param("p" * 64, id="long"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_that_is_asked_for_is_refused(name: str) -> None:
    for wish in ({"ports": [name]}, {"bridge": name}):
        with pytest.raises(UsageError):
            plan(two_bridges(), **wish)
        with pytest.raises(UsageError):
            mirror.plan_teardown(two_bridges().switch(), ME, **wish)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_that_is_there_never_becomes_a_word_of_a_command(name: str) -> None:
    evil = Database()
    evil.bridge(name, [f"{name}p"])
    for wish in ({}, {"ports": ["p0"]}):
        with pytest.raises((UsageError, ExternalError)):
            plan(evil, **wish)
    # a mirror of ours on it, as somebody there would forge it
    ours = mirror.name_of(ME, name, ())
    marks = {mirror.MARK: ours, mirror.OWNER: ME}
    evil.port(ours, "internal", **marks)
    evil.joined(name, "ports", uuid(f"p-{ours}"))
    evil.mirror(name, ours, ours, **marks)
    with pytest.raises(ExternalError, match="no name that is taken"):
        mirror.plan_teardown(evil.switch(), ME)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_forged_mark_with_a_hostile_name_is_not_believed(name: str) -> None:
    evil = two_bridges()
    evil.mirror("ovsbr1", name, "p0", ["p0"], **{mirror.MARK: name, mirror.OWNER: ME})
    assert mirror.plan_teardown(evil.switch(), None) == ([], [])


def test_marks_carry_an_owners_name_as_data() -> None:
    owner = 'eve" -- destroy Bridge ovsbr1 -- @h\n$(x)'
    made = mirror.plan_setup(two_bridges().switch(), owner, WHEN, ports=["p0"])
    (word, again) = [word for word in made.words if word.startswith("external_ids:workbench-owner=")]
    assert word == again
    assert json.loads(word.partition("=")[2]) == owner
    assert "destroy" not in made.words
