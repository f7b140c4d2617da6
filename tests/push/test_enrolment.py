"""Enrolling: who may log in for it, whose signatures count, and that it is the same DPU as before."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from workbench.errors import UsageError
from workbench.push import enrolment
from workbench.push.targets import Target
from workbench.sources import ssh
from workbench.workflows import push_enrol

LINE, BLOB = 'restrict,command="x" ssh-ed25519 QUJD', "QUJD"


def logged(home: Path) -> subprocess.CompletedProcess[str]:
    given = f"{LINE}\n{BLOB}\n"
    words = ["sh", "-c", enrolment._LOGIN]
    return subprocess.run(words, input=given, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True)


@pytest.mark.parametrize("before", ["", "# QUJD is ben's\n", "ssh-ed25519 WFla other\n", "ssh-ed25519 WFla no-newline"])
def test_a_login_key_gets_a_line_of_its_own_once(tmp_path: Path, before: str) -> None:
    file = tmp_path / ".ssh" / "authorized_keys"
    file.parent.mkdir()
    file.write_text(before)
    for _ in range(2):
        assert logged(tmp_path).returncode == 0
        assert file.read_text() == before + ("" if before.endswith("\n") or not before else "\n") + LINE + "\n"


@pytest.mark.parametrize("name", ["authorized_keys", "authorized_keys2"])
def test_a_key_that_may_log_in_already_is_not_said_to_be_restricted(tmp_path: Path, name: str) -> None:
    file = tmp_path / ".ssh" / name
    file.parent.mkdir()
    file.write_text(f"ssh-ed25519 {BLOB} ada\n{LINE}\n")
    done = logged(tmp_path)
    assert done.returncode == 3
    assert "lets this key in already" in done.stderr
    assert file.read_text() == f"ssh-ed25519 {BLOB} ada\n{LINE}\n"


def test_who_reads_the_audit_log_is_no_pusher_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people").write_text("ada ssh-ed25519 AAAA\n")
    (tmp_path / "settings.toml").write_text(
        f'[targets.dpu1]\naddress = "local"\n[audit]\nallowed_signers = "{tmp_path}/people"\n'
    )
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    with pytest.raises(UsageError, match="is not said"):
        push_enrol.enrol("dpu1", None, None, 900, 3600)
    with pytest.raises(UsageError, match="what for"):
        push_enrol.enrol("dpu1", tmp_path / "people", None, 900, 3600)


def test_enrolling_again_is_for_the_same_bridge_while_rules_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shell(_target: Target, script: str) -> str:
        return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout

    monkeypatch.setattr(enrolment, "_shell", shell)
    target = Target("dpu1", "ovs", ssh.parse_far("local"), folder=str(tmp_path))
    home = Path(target.home)
    home.mkdir()
    assert len(enrolment._same(target, "br0")) == 32
    (home / "config.json").write_text(json.dumps({"id": "a" * 32, "dataplane": "ovs", "bridge": "br0"}))
    assert enrolment._same(target, "br0") == "a" * 32
    assert enrolment._same(target, "br1") != "a" * 32  # nothing runs there yet
    for state in ('{"confirmed": {"digest": "x"}, "pending": null}', '{"confirmed": null, "pending": {"digest": "x"}}', "{"):
        (home / "state.json").write_text(state)
        assert enrolment._same(target, "br0") == "a" * 32
        for other, bridge in ((target, "br1"), (Target("dpu1", "nft", target.far, folder=str(tmp_path)), "")):
            with pytest.raises(UsageError, match="was enrolled for ovs br0"):
                enrolment._same(other, bridge)
