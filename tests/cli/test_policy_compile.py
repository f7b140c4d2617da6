"""`workbench policy compile`: rules on stdout, what should be known of them on stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.push.compiling import CONTAIN
from workbench.cli import app


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "contain.yaml"
    path.write_text(CONTAIN)
    return path


def run(*words: str | Path) -> int:
    return app.run([str(word) for word in ("policy", "compile", *words)])


@pytest.mark.parametrize(("target", "first"), [("ovs", "delete cookie=0x57424331"), ("nft", "table inet workbench_policy\n")])
def test_rules_are_written_and_proven(policy: Path, capsys: pytest.CaptureFixture[str], target: str, first: str) -> None:
    assert run(policy, "--target", target) == 0
    out, err = capsys.readouterr()
    assert out.startswith(first)
    assert "read back and proven" in err
    assert run(policy, "--target", target, "-o", policy.with_name("rules")) == 0
    assert policy.with_name("rules").read_text() == out
    assert capsys.readouterr().out == ""


def test_numbers_are_kept_from_what_was_compiled_before(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = policy.with_name("before.json")
    assert run(policy, "--target", "ovs", "--format", "json", "-o", before) == 0
    policy.write_text(CONTAIN.replace("name: no-guests", "name: no-visitors"))
    capsys.readouterr()
    assert run(policy, "--target", "ovs", "--format", "json", "--before", before) == 0
    said = json.loads(capsys.readouterr().out)
    assert [said["ids"][str(n)] for n in (0, 3, 4)] == ["contain/no-guests", "contain/work", "contain/no-visitors"]
    assert (said["proven"], said["expires"], said["cut"]) == (True, {"4": "2h"}, [4])
    for wrong in ("[]", '{"ids": {"x": 1}}', '{"ids": {"-1": "a/b"}}'):
        before.write_text(wrong)
        assert run(policy, "--target", "ovs", "--before", before) == 3


def test_a_target_of_the_settings_serves_whom_it_serves(
    policy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = policy.with_name("settings.toml")
    settings.write_text('[targets.rack1]\nkind = "ovs"\naddress = "local"\nserves = ["10.20.0.0/24"]\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(settings))
    assert run(policy, "--target", "rack1") == 0
    assert "ip,nw_dst=10.20.0.0/24,actions=resubmit(,201)" in capsys.readouterr().out
    assert run(policy, "--target", "rack2") == 2


def test_labels_that_nobody_knows_are_not_compiled_away(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy.write_text(CONTAIN.replace("guests: {cidr: [10.30.0.0/24, ", "guests: {labels: {app: x}, cidr: ["))
    assert run(policy, "--target", "nft") == 2
    assert "`guests`" in capsys.readouterr().err


HOSTILE = ['x"; flush ruleset; "', "a,actions=NORMAL", "$(reboot)", "x\\ny", "`id`", "-oProxyCommand=id", "drop#", "fwd accept"]


@pytest.mark.parametrize("target", ["ovs", "nft"])
def test_words_made_to_break_out_reach_no_target(policy: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    assert run(policy, "--target", target) == 0
    plain = capsys.readouterr().out
    for word in HOSTILE:
        said = json.dumps(word)
        for old in ("name: contain}", "name: no-guests", "guests: {cidr"):  # names: refused, whatever they hold
            policy.write_text(
                CONTAIN.replace(old, old.replace(old.rstrip("}").split(": ")[-1], said) if "name" in old else f"{said}: {{cidr")
            )
            assert run(policy, "--target", target) == 3, (word, old)
        policy.write_text(CONTAIN.replace("name: contain}", f"name: contain, description: {said}, owner: {said}}}"))
        capsys.readouterr()
        assert run(policy, "--target", target) == 0
        assert capsys.readouterr().out == plain


@pytest.mark.parametrize("name", ["fwd", "table", "drop", "accept", "a" * 63])
def test_names_that_are_words_of_a_target_are_only_comments(policy: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    policy.write_text(CONTAIN.replace("name: no-guests", f"name: {name}").replace("managed", "fwd"))
    assert run(policy, "--target", "nft") == 0
    assert f'comment "contain/{name}"' in capsys.readouterr().out
