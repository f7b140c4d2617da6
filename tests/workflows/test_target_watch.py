"""Targets asked again and again: one that hangs stops nobody, nobody listens and nobody is asked; drift as it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.people import People, folder_of
from tests.workflows.desk import Desk
from workbench.audit.log import AuditLog
from workbench.cli.app import run
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import Target
from workbench.sources import ssh
from workbench.workflows import push_policy
from workbench.workflows.drift_watch import Beside, DriftNews, DriftWatch, watch_drift
from workbench.workflows.target_state import state_of
from workbench.workflows.target_watch import Seen, TargetWatch


def rewrite(desk: Desk, text: str) -> None:
    """Other rules in one step: a switch that is seen without any gets its own again."""
    fresh = desk.box.lines.file.with_suffix(".edited")
    fresh.write_text(text)
    fresh.rename(desk.box.lines.file)


def until(seen: Callable[[], Any], patience: float = 60.0) -> Any:
    deadline = time.monotonic() + patience
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_one_that_hangs_stops_nobody_and_ends_with_the_last_who_listens(
    tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/hung\nexec sleep 1000\n")
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    home = folder_of(tmp_path / "dpus" / "dpu1", people) if (tmp_path / "dpus").mkdir() is None else None
    assert home is not None
    (home / "workbench_dpu.py").write_text(Path(dpu.__file__).read_text())
    here = Target("dpu1", "ovs", ssh.Far("local"), folder=str(tmp_path / "dpus"))
    targets = [here, replace(here, name="dpu2"), replace(here, name="dpu3", far=ssh.parse_far("ssh://dpu3"))]
    watch = TargetWatch(targets)
    heard: list[Seen] = []
    joined = watch.join(0.1, heard.append)
    try:
        # a resident whose switch isn't there, none at all, and one that says nothing
        until(lambda: [one.state.state for one in watch.seen if one.state is not None] == ["down", "not enrolled"])
        many = until(lambda: sum(one.target.name == "dpu1" and one.asked is None for one in heard) > 2)
        assert many
        assert watch.seen[2].state is None
        assert watch.seen[2].asked is not None
        pid = int(until(lambda: (tmp_path / "hung").exists() and (tmp_path / "hung").read_text()))
        assert not any(one.target.name == "dpu3" and one.state is not None for one in heard)
    finally:
        joined.close()
    until(lambda: not Path(f"/proc/{pid}").exists())
    until(lambda: all(one.asked is None for one in watch.seen))
    last = len(heard)
    time.sleep(0.3)
    assert len(heard) == last
    with watch.join(0.1, heard.append):
        until(lambda: len(heard) > last)


def test_an_answer_that_makes_no_sense_is_unreadable_and_no_more(desk: Desk) -> None:
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    good = push_policy.status(["dpu1"])[0]
    assert state_of(good, "ovs").state == "confirmed"
    changed = {"since": 1, "added": 7, "removed": []}
    for said in ({"pending": 7}, {"now": "x"}, {"drift": changed}, {"now": 1e300}, {"alerts": [7]}, {"gaps": 7}, {"skew": None}):
        found = state_of(replace(good, said={**good.said, **said}), "ovs")
        assert (found.state, found.bad) == ("unreadable", True), said
    assert state_of(replace(good, said={}), "ovs").state == "unreadable"


def test_drift_is_told_once_with_its_rule_and_written_down_once_the_case_is_there(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.settings("[attach]\ndrift_every = 1")
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    before = desk.box.lines.file.read_text()
    case, told = tmp_path / "case", list[DriftNews]()
    with Beside(case, told.append):
        rewrite(desk, before.replace("tp_dst=22", "tp_dst=24"))
        until(lambda: told)
        case.mkdir()
        (case / "case.toml").touch()
        until(lambda: (case / "audit.jsonl").exists())
        rewrite(desk, before)
        until(lambda: len(told) == 2)
    assert [(one.target, one.what, one.rules) for one in told] == [("dpu1", "drift", ("web/no-ssh",)), ("dpu1", "over", ())]
    assert "DRIFT on dpu1 since 2027-01-15T08:00:00Z: somebody changed web/no-ssh" in told[0].text()
    (line,) = AuditLog(case).read()
    assert (line.action, line.detail["rules"], line.detail["how"]) == ("push_drifted", ["web/no-ssh"], "while attached")
    # the command: the same news, and an exit code
    rewrite(desk, before.replace("tp_dst=22", "tp_dst=24"))
    stop, news = threading.Event(), list[DriftNews]()

    def hear(one: DriftNews) -> None:
        news.append(one)
        stop.set()

    assert watch_drift(["dpu1"], 1.0, hear, stop)
    assert [one.what for one in news] == ["drift"]
    assert run(["push", "drift", "--watch", "5", "--format", "csv"]) == 2
    assert "--watch prints lines" in capsys.readouterr().err


def test_a_drift_of_endless_names_is_told_and_written_and_ends_no_watch(desk: Desk, tmp_path: Path) -> None:
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    good = push_policy.status(["dpu1"])[0]
    lines = [f'drop comment "{n}{"é" * 100_000}"' for n in range(9)]
    hostile = replace(good, said={**good.said, "drift": {"since": 1, "added": lines, "removed": []}})
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "case.toml").touch()
    told: list[DriftNews] = []
    here = Target("dpu1", "ovs", ssh.Far("local"))
    drift = DriftWatch(tmp_path / "case", told.append)
    drift.hear(Seen(here, state_of(hostile, "ovs")))
    assert [one.what for one in told] == ["drift"]
    assert [len(rule) for rule in told[0].rules] == [300] * 9
    (line,) = AuditLog(tmp_path / "case").read()
    assert line.action == "push_drifted"
    # a log that can't be written comes after the news
    (tmp_path / "case" / "audit.jsonl").unlink()
    (tmp_path / "case" / "audit.jsonl").mkdir()
    drift.hear(Seen(here, state_of(good, "ovs")))
    drift.hear(Seen(here, state_of(hostile, "ovs")))
    assert [one.what for one in told] == ["drift", "over", "drift", "failed"]


def test_who_fails_at_hearing_ends_no_lane_and_a_reader_who_is_gone_ends_the_command(desk: Desk) -> None:
    heard: list[Seen] = []

    def fails(_: Seen) -> None:
        raise ValueError

    watch = TargetWatch([Target("dpu1", "ovs", ssh.Far("local"))])
    with watch.join(0.1, fails), watch.join(0.1, heard.append):
        until(lambda: sum(one.asked is None for one in heard) > 2)
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    rewrite(desk, desk.box.lines.file.read_text().replace("tp_dst=22", "tp_dst=24"))

    def gone(_: DriftNews) -> None:
        raise BrokenPipeError

    stop = threading.Event()
    limit = threading.Timer(60, stop.set)  # else it might wait for ever
    limit.start()
    with pytest.raises(BrokenPipeError):
        watch_drift(["dpu1"], 1.0, gone, stop)
    limit.cancel()


def test_a_resident_that_is_gone_is_to_be_looked_at(desk: Desk) -> None:
    missing = push_policy.Status("dpu1", "local", "not enrolled", {}, "has no resident of dpu1")
    here, told = Target("dpu1", "ovs", ssh.Far("local")), list[DriftNews]()
    drift = DriftWatch(None, told.append)
    drift.hear(Seen(here, state_of(missing, "ovs")))
    assert (state_of(missing, "ovs").bad, drift.now) == (False, [])
    drift.hear(Seen(here, state_of(missing, "ovs", met=True)))
    assert (drift.now, len(told)) == (["drift of dpu1 unknown"], 2)
    assert "gone" in told[1].words
    push_policy.apply_plan(desk.ready(), 30)
    assert state_of(missing, "ovs").bad


def test_settings_that_are_wrong_cost_a_line_and_not_the_attachment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text('[targets.dpu1]\naddress = "-oProxyCommand=x"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    told: list[DriftNews] = []
    with Beside(tmp_path / "case", told.append):
        pass
    assert [one.what for one in told] == ["failed"]
    assert "targets.dpu1.address" in told[0].text()


def test_push_drift_watch_ends_with_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(f'[targets.dpu1]\naddress = "local"\nfolder = "{tmp_path}"\n')
    env = {**os.environ, "WORKBENCH_CONFIG": str(tmp_path / "settings.toml")}
    words = [sys.executable, "-m", "workbench", "push", "drift", "--watch", "1", "--format", "json"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        first = json.loads(program.stdout.readline())
        program.terminate()
        assert program.wait(60) == 0
    assert (first["target"], first["what"]) == ("dpu1", "silent")
    assert "no resident of dpu1" in first["words"]
