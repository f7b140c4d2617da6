"""`workbench policy`: rows on stdout, words on stderr, and the exit code is the answer."""

import json
import re
from pathlib import Path

import pytest

from tests.policy.test_loader import EXAMPLE
from workbench.cli.app import run


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The design's example policy in a file."""
    path = tmp_path / "esxi.yaml"
    path.write_text(EXAMPLE)
    return path


def test_lint_fails_on_errors_and_on_warnings_where_asked(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "lint", str(example)]) == 0
    again = (
        "  - {name: again, tier: app, priority: 201, action: allow, from: hypervisors, to: hypervisors, services: [tcp/8000]}\n"
    )
    example.write_text(EXAMPLE.replace("defaults:", again + "defaults:"))
    assert run(["policy", "lint", str(example)]) == 0
    assert run(["policy", "lint", str(example), "--fail-on", "warning"]) == 1
    example.write_text(EXAMPLE.replace("defaults:", again.replace("201", "200").replace("allow", "deny") + "defaults:"))
    capsys.readouterr()
    assert run(["policy", "lint", str(example), "--format", "json"]) == 1
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["severity"], first["code"], first["rule"], first["line"]) == ("error", "contradiction", "again", 22)
    assert "`vmotion` says allow" in first["message"]


def test_every_mistake_of_a_policy_is_a_line_and_none_makes_another(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example.write_text(EXAMPLE.replace("tier: app", "tier: apps").replace("log: true", 'log: "x\\nesxi.yaml:1: fine"'))
    assert run(["policy", "lint", str(example), "--format", "json"]) == 3
    out, err = capsys.readouterr()
    assert [(row["severity"], row["code"], row["line"]) for row in json.loads(out)] == [
        ("error", "schema", 20),
        ("error", "schema", 21),
    ]
    lines = err.splitlines()
    assert lines[0] == "Wrong policy: 2 mistakes"
    assert len(lines) == 4
    assert "\u240a" in lines[1]
    assert "`apps` is none of" in lines[2]


WRONG = [
    ("priority: 100", "prioritty: 100", "prioritty"),
    ("tier: app", "teir: app", "teir"),
    ("training:    {", "trainin:    {", "training"),
    ("to: hypervisors\n", "to: hypervizors\n", "hypervizors"),
    ("tcp/427", "tcp/4z7", "4z7"),
    ("tcp/427", "tcp/66666", "66666"),
    ("tcp/427", "htttp", "htttp"),
    ("10.20.0.0/24", "10.20.0.256/24", "10.20.0.256/24"),
    ("10.20.0.0/24", "10.20.0.1/24", "10.20.0.1/24"),
    ("expires: 2h", "expires: 2 moons", "2 moons"),
    ("expires: 2h", "expires: 2030-02-30T00:00:00Z", "2030-02-30"),
    ("expect: allow", "expect: alow", "alow"),
    ("east_west: deny", "east_west: denny", "denny"),
    ("kind: Policy", "kind: Polizy", "Polizy"),
]


@pytest.mark.parametrize("command", ["lint", "show", "test"])
@pytest.mark.parametrize(("right", "wrong", "word"), WRONG)
def test_a_misspelt_policy_never_loads_quietly(
    example: Path, command: str, right: str, wrong: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert right in EXAMPLE
    example.write_text(EXAMPLE.replace(right, wrong, 1))
    assert run(["policy", command, str(example), "--format", "table"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{example}:" in err
    assert f"`{word}" in err


def test_a_misspelt_one_of_two_is_told_by_its_name(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(EXAMPLE.replace("tcp/427", "tcp/4z7"))
    assert run(["policy", "diff", str(example), str(other)]) == 3
    assert run(["policy", "prove", str(other), str(example), "--relation", "equal"]) == 3
    assert capsys.readouterr().err.count("other.yaml:16: rules[0].services[0]") == 2


def test_the_examples_own_test_passes_and_its_opposite_fails(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "test", str(example), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["test"], row["result"], row["rule"]) == ("vmotion still works", "pass", "contain-esxi/vmotion")
    example.write_text(EXAMPLE.replace("expect: allow", "expect: deny"))
    assert run(["policy", "test", str(example), "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["result"] == "fail"
    assert "vmotion still works: deny is expected, allow is what 10.20.0.5 -> 10.20.0.6 : tcp/8000" in err


def test_rules_are_shown_as_they_are_tried(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example.write_text(EXAMPLE.replace("tier: quarantine", "tier: default"))
    assert run(["policy", "show", str(example), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["kind"], r["name"]) for r in rows] == [
        ("rule", "vmotion"), ("rule", "no-guest-to-mgmt"), ("default", "default"),
        ("group", "internal"), ("group", "hypervisors"), ("group", "training"),
    ]  # fmt: skip
    assert rows[0]["from_addresses"] == "10.20.0.0/24, fd00:20::/64"
    assert rows[1]["from_addresses"] is None, "only a case knows who has a label"
    assert run(["policy", "show", str(example), "--format", "table"]) == 0
    out, err = capsys.readouterr()
    assert "2^64" in out
    assert "nobody knows who is in `training`" in err


def test_a_difference_is_listed_exactly(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(EXAMPLE.replace("from: hypervisors, to: hypervisors", "from: [hypervisors, 10.9.0.1], to: hypervisors"))
    assert run(["policy", "diff", str(example), str(new), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert (row["change"], row["from"], row["to"]) == ("allowed", "10.9.0.1", "hypervisors (IPv4)")
    assert (row["service"], row["packets"]) == ("tcp/8000", str(256 * 65536))
    assert "allowed: 16,777,216 packets\n" in err
    assert run(["policy", "diff", str(example), str(example), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert "no packet is judged otherwise" in err


def test_proofs_hold_or_are_contradicted_by_packets(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(EXAMPLE.replace("services: [tcp/8000]}", "services: [tcp/8000, tcp/22]}"))
    both = [str(example), str(new)]
    assert run(["policy", "prove", *both, "--relation", "equal", "--format", "json"]) == 1
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["change"], row["proto"], row["dst_port"]) == ("allowed", 6, 22)
    assert (row["old_verdict"], row["old_rule"]) == ("deny", "contain-esxi/default")
    assert (row["new_verdict"], row["new_rule"]) == ("allow", "contain-esxi/vmotion")
    assert run(["policy", "prove", *both, "--relation", "contained"]) == 1, "NEW lets more through"
    assert run(["policy", "prove", *both[::-1], "--relation", "contained"]) == 0, "NEW lets less through"
    assert run(["policy", "prove", *both[::-1], "--relation", "equal"]) == 1
    assert run(["policy", "prove", both[0], both[0], "--relation", "equal", "--format", "json"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("[]\n")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("training -> hypervisors : tcp/427, udp/427", 0),
        ("training -> hypervisors", 0),
        ("hypervisors -> hypervisors : tcp/8000", 1),
        ("fd00:20::7 -> fd00:20::/64:tcp/8000", 1),
        ("any -> 192.0.2.1 : tcp/443", 1),
        ("training -> hypervizors : tcp/427", 2),
        ("training -> hypervisors : tcp/4z7", 2),
        ("training hypervisors", 2),
        ("-> hypervisors", 2),
        ("training -> : tcp/1", 2),
    ],
)
def test_what_is_never_let_through(example: Path, path: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "prove", str(example), "--never", path, "--format", "json"]) == code
    out, err = capsys.readouterr()
    assert bool(out.count("src_ip")) == (code == 1)
    assert ("NOT SO" in err) == (code == 1)
    assert ("--never: " in err) == (code == 2)


def test_a_proof_is_of_one_thing_and_of_as_many_policies_as_it_takes(example: Path) -> None:
    one = str(example)
    for words in ([one], [one, one], [one, "--relation", "equal"], [one, one, "--never", "any -> any"], [one, one, one]):
        assert run(["policy", "prove", *words]) == 2
    assert run(["policy", "prove", one, "--never", "any -> any", "--at", "yesteryear"]) == 2


def test_what_no_packet_shows_is_told_and_is_not_equal(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that ends in a second, one that keeps what was cut and one that is not logged judge every packet alike today."""
    new = tmp_path / "new.yaml"
    at = ["--at", "2026-11-23 12:00"]
    equal = ["--relation", "equal", *at, "--format", "json"]
    new.write_text(EXAMPLE.replace("existing: cut", "existing: keep"))
    assert "existing: cut" in EXAMPLE
    assert run(["policy", "prove", str(example), str(new), *equal]) == 1
    out, err = capsys.readouterr()
    row = json.loads(out)[0]
    assert (row["change"], row["as_of"], row["old_verdict"], row["new_verdict"]) == ("kept", None, "deny", "deny")
    assert row["old_rule"] == row["new_rule"] == "contain-esxi/no-guest-to-mgmt"
    assert "existing cut -> keep" in err
    assert run(["policy", "diff", str(example), str(new), *at, "--format", "json"]) == 0
    assert {row["change"] for row in json.loads(capsys.readouterr().out)} == {"kept"}
    assert run(["policy", "prove", str(example), str(new), "--relation", "contained"]) == 0
    capsys.readouterr()

    plain, ending = tmp_path / "plain.yaml", tmp_path / "ending.yaml"
    plain.write_text(re.sub(r"\n *expires: [^\n]*", "", EXAMPLE.replace("east_west: deny", "east_west: allow")))
    ending.write_text(re.sub(r"existing: cut", "existing: cut\n    expires: 1s", plain.read_text()))
    for relation in ("equal", "contained"):
        assert run(["policy", "prove", str(plain), str(ending), "--relation", relation, *at, "--format", "json"]) == 1
        out, err = capsys.readouterr()
        row = json.loads(out)[0]
        assert (row["change"], row["as_of"]) == ("allowed", "2026-11-23T12:00:01Z")
        assert (row["old_rule"], row["new_rule"]) == ("contain-esxi/no-guest-to-mgmt", "contain-esxi/default")
        assert "as of 2026-11-23T12:00:00Z" in err
    assert run(["policy", "prove", str(ending), str(plain), "--relation", "contained", *at]) == 0, "it only ever stops more"
    assert run(["policy", "prove", str(ending), str(ending), *equal]) == 0
    capsys.readouterr()
    assert run(["policy", "diff", str(plain), str(ending), *at, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["change"], row["packets"]) == ("expires", None)
    assert "expires never -> 1s" in row["example"]

    plain.write_text(EXAMPLE.replace("log: true", "log: false"))
    assert run(["policy", "prove", str(example), str(plain), *equal]) == 0
    assert "log true -> false" in capsys.readouterr().err


AGAIN = "  - {name: again, tier: app, priority: 200, action: deny, from: hypervisors, to: hypervisors, services: [tcp/8000]}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["test", "P"],
        ["diff", "P", "Q"],
        ["diff", "Q", "P"],
        ["prove", "Q", "P", "--relation", "equal"],
        ["prove", "P", "--never", "any -> 10.9.9.9"],
        ["compile", "P", "--target", "nft"],
        ["show", "P"],
    ],
)
def test_no_order_is_guessed_of_rules_that_contradict_each_other(
    example: Path, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = EXAMPLE.replace("{labels: {app: train}}", "{cidr: 10.9.0.0/16}")
    paths = {"P": tmp_path / "p.yaml", "Q": example}
    paths["Q"].write_text(good)
    paths["P"].write_text(good.replace("defaults:", AGAIN + "defaults:"))
    code = run(["policy", *(str(paths.get(word, word)) for word in words)])
    out, err = capsys.readouterr()
    assert (code, bool(out)) == ((0, True) if words[0] == "show" else (3, False))
    place = paths["P"]
    assert f"{place}:22: rules[2]: `again` says deny where `vmotion` ({place}:21) says allow" in err
