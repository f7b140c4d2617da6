"""From a finding to rules that run: an attacker's live sessions end and stay so, others go on, the switch tells by which rule."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make.recording import Recorder
from tests import needs
from tests.lab import marks, switch
from tests.lab.containing import ESX, PLAN, TRAIN, Attacked, ssh_from_admin
from tests.lab.dataplane import DpuLab
from tests.lab.pushing import RULES, Desk
from tests.push.resident.people import People
from tests.tui.terminal import Terminal
from workbench.errors import ExternalError
from workbench.push import enrolment
from workbench.push.probes import parse
from workbench.push.targets import target_of
from workbench.settings import load_settings
from workbench.store.reader import CaseReader
from workbench.workflows import decided, push_plan, push_policy
from workbench.workflows.draft_policy import Selection, suggest_policy
from workbench.workflows.hunt import detect
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

pytestmark = [*marks.LAB, pytest.mark.xdist_group("contain")]
ROOT = Path(__file__).parents[2]
TARGET = f"""kind = "ovs"
address = "ssh://root@dpu1"
bridge = "ovsbr1"
telemetry = ["127.0.0.1:{switch.IPFIX}"]
sampling = 1"""


@pytest.fixture(scope="module")
def lab() -> Iterator[DpuLab]:
    with DpuLab(PLAN) as up:
        yield up


@pytest.fixture
def attacked(lab: DpuLab, tmp_path: Path) -> Iterator[Attacked]:
    one = Attacked(lab, tmp_path)
    yield one
    one.close()


@pytest.fixture
def desk(lab: DpuLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "keys").mkdir()
    one = Desk(tmp_path, People(tmp_path / "keys"), monkeypatch, TARGET)
    ssh_from_admin(lab, tmp_path, monkeypatch)
    before = lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1")
    yield one
    one.end()
    lab.add_flows("dpu1", "ovsbr1", "delete cookie=0x5742433100000000/0xffffffff00000000\n")
    assert lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1") == before


class Collecting:
    """`workbench attach` on the DPU, of what its switch tells."""

    def __init__(self, lab: DpuLab, case: Path) -> None:
        words = ["attach", f"ipfix://127.0.0.1:{switch.IPFIX}", "--case", str(case), "--headless", "--status", "off"]
        line, environment = lab.command("dpu1", [sys.executable, "-m", "workbench", *words])
        self.case, self.process = case, subprocess.Popen(line, env=environment)
        waited(lambda: f":{switch.IPFIX} " in lab.run("dpu1", ["ss", "-Hlun"]))

    def told(self, sql: str) -> list[tuple[object, ...]]:
        with CaseReader(self.case) as reader:
            return [tuple(row.values()) for row in reader.query(sql).to_pylist()]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0


def waited(what: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def of_finding(case: Path) -> str:
    """The draft that contains who reached for the hypervisor."""
    detect(case)
    with CaseReader(case) as reader:
        sql = "SELECT finding_id FROM findings WHERE detection = 'hypervisor-management' AND subject LIKE ? ORDER BY ts_first"
        (found, *_) = reader.query(sql, [f"{TRAIN} in vlan:101"])["finding_id"].to_pylist()
        return suggest_policy(reader, Selection(finding=found)).text


def test_what_lived_ends_and_stays_ended_and_the_switch_tells_by_which_rule(
    desk: Desk, attacked: Attacked, lab: DpuLab, tmp_path: Path
) -> None:
    case, policy = tmp_path / "case", tmp_path / "contain.yaml"
    index_sources(IndexRequest((str(attacked.capture),), case))
    policy.write_text(of_finding(case))
    assert "existing: cut" in policy.read_text()
    desk.enrol()
    collecting = Collecting(lab, case)
    try:
        lab.export("dpu1")  # whole bridges are told to the same port, under point 1
        recorder = Recorder(lab, "dpu1", "mirror1")
        plan = desk.signed(policy, tmp_path / "plan", case=case)
        allowed, denied = attacked.probes()
        assert attacked.session.lives()
        assert attacked.slp_session.lives()
        done = push_policy.apply_plan(plan, 600, [parse(allowed, True), parse(denied, False)])
        assert [(one.found, one.good) for one in done.probed] == [("connected", True), ("silent", True)]

        cut = (attacked.session, attacked.slp_session)
        at_once = [list(one.heard) for one in cut]

        def ended() -> bool:
            return attacked.slp_session.silent() and [one.heard for one in cut] == at_once and attacked.vmotion.lives()

        assert ended()
        push_policy.confirm("dpu", "")
        assert ended()
        lab.appctl("dpu1", "revalidator/purge")  # every packet is judged by the tables again
        assert ended()
        assert not attacked.reaches("train-7", 1)
        assert attacked.reaches("esx-02")

        rule = next(number for number, name in push_policy.status(["dpu"])[0].ids.items() if name.endswith("/contain-from"))
        point = 0x57000000 | int(rule)
        ports = f"SELECT count(DISTINCT greatest(src_port, dst_port)) AS n FROM flows WHERE rule_id = '{point}'"
        waited(lambda: collecting.told(ports) == [(4,)])  # the probe, the attempt and both that lived
        recorder.stop()
    finally:
        collecting.stop()
    index_sources(IndexRequest((str(recorder.raw),), case))
    (status,) = push_policy.status(["dpu"])
    assert decided.bring(case, status).kept.verdicts
    decisions = """SELECT DISTINCT s.kind, f.proto, greatest(f.src_port, f.dst_port), least(f.src_ip, f.dst_ip),
    greatest(f.src_ip, f.dst_ip), d.verdict, d.rule_id
FROM decisions d JOIN flows f USING (flow_id) JOIN sources s USING (source_id) WHERE d.origin = 'ovs-ipfix'"""
    name, rows = "contain-10.20.1.77-in-vlan-101/contain-from", collecting.told(decisions)
    assert {row[3:] for row in rows} == {(TRAIN, ESX, "deny", name)}  # by the packets of both directions, at both sources
    lived = {(kind, proto, one.port) for kind in ("ipfix", "pcapng") for proto, one in zip((6, 17), cut, strict=True)}
    assert {row[:3] for row in rows} > lived
    counted = f"SELECT packets FROM rule_counters WHERE rule_id = '{name}'"
    assert all(packets > 20 for (packets,) in collecting.told(counted))


@pytest.fixture
def terminal(desk: Desk, attacked: Attacked, tmp_path: Path) -> Iterator[Terminal]:
    """The app, on the recording."""
    words = [sys.executable, "-m", "workbench", "open", str(attacked.capture), "--case", str(tmp_path / "case")]
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    found = Terminal(tmp_path, words, {**kept, "PYTHONPATH": str(ROOT)})
    yield found
    found.close()


def to_the_first_finding(terminal: Terminal) -> None:
    """Down from the title of its group, once more where the list came anew behind the key; the next one is of the same guest."""

    def there(text: str) -> bool:
        return any(line.startswith("▶") and TRAIN in line for line in text.split("\n"))

    for _ in range(60):
        terminal.press("j")
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if there("\n".join(terminal.screen())):
                return
            time.sleep(0.05)
    terminal.wait(there)


@pytest.mark.tmux
@needs.program("tmux")
def test_in_the_app_from_a_finding_to_what_is_enforced(
    terminal: Terminal, desk: Desk, attacked: Attacked, record_property: Callable[[str, object], None]
) -> None:
    desk.enrol()
    terminal.wait_for("ready", "row 1")
    began = [time.monotonic()]
    terminal.press("5", "D")
    terminal.wait_for("Hypervisor management reached", "score  flows")
    to_the_first_finding(terminal)
    began.append(time.monotonic())
    terminal.press("d")
    terminal.wait_for(f"policy contain-{TRAIN}")
    terminal.press("F9")
    terminal.wait_for(f"push contain-{TRAIN}", "runs nothing of ours")
    terminal.press("Enter")
    terminal.wait_for("Enter signs as ada")
    for word, way in zip(("allow", "deny"), attacked.probes(), strict=True):
        terminal.press("o")
        terminal.wait_for("Try once it runs")
        terminal.write(f"{word} {way}")
        terminal.press("Enter")
        terminal.wait(lambda text: "Try once it runs" not in text)
    terminal.press("Enter")
    terminal.wait_for("Signed    by ada")
    terminal.press("Enter")
    terminal.wait_for("with which key?")
    terminal.write(str(desk.people.folder / "ben"))
    terminal.press("Enter")
    terminal.wait_for("Approved  by ben")
    assert attacked.session.lives()
    assert attacked.slp_session.lives()
    terminal.press("Enter")
    terminal.wait_for("2 of 2 probes as meant", "c CONFIRM")
    for name, since in zip(("first_key_to_enforced", "finding_to_enforced"), began, strict=True):
        record_property(name, round(time.monotonic() - since, 1))
        print(f"{name}: {time.monotonic() - since:.1f} s")
    heard = list(attacked.session.heard)
    assert attacked.slp_session.silent()
    terminal.press("c")
    terminal.wait_for("CONFIRMED", "is in force on dpu")
    terminal.press("q")
    terminal.wait_for("exit code 0")
    assert attacked.slp_session.silent()
    assert attacked.session.heard == heard
    assert attacked.vmotion.lives()
    said = desk.said()
    assert (said["pending"], said["confirmed"]["policy"][: len(f"contain-{TRAIN}")]) == (None, f"contain-{TRAIN}")


def test_the_row_that_tells_is_made_renewed_and_taken_away_and_nobody_elses_is_touched(desk: Desk, lab: DpuLab) -> None:
    def rows() -> list[str]:
        return lab.vsctl("dpu1", "--bare", "--columns=_uuid", "list", "Flow_Sample_Collector_Set").split()

    def tell(**change: Any) -> tuple[str, ...]:
        return enrolment._telling(replace(target_of(load_settings(), "dpu"), **change), "ovsbr1")

    assert tell(sampling=0) == ()
    assert rows() == []
    desk.enrol()
    policy = desk.folder / "log.yaml"
    policy.write_text(RULES.format(port=80).replace("[tcp/80]", "[tcp/80], log: true"))

    def notes() -> str:
        return " ".join(push_plan.make_plan(push_plan.Wish(policy, "dpu")).shown["notes"])

    assert "they tell nobody" not in notes()
    tell(sampling=0)
    assert "dpu: its switch knows no collectors for rules with `log`, they tell nobody: enrol it again" in notes()
    theirs = "--id=@b get Bridge br-phy -- create Flow_Sample_Collector_Set id=22338 bridge=@b external_ids:workbench-dpu=other"
    lab.vsctl("dpu1", *theirs.split())
    others = rows()
    try:
        assert tell(telemetry=(("192.0.2.9", 4739), ("2001:db8::9", 4740))) == ("192.0.2.9:4739", "[2001:db8::9]:4740")
        (ours,) = set(rows()) - set(others)
        targets = lab.vsctl(
            "dpu1", "get", "IPFIX", lab.vsctl("dpu1", "get", "Flow_Sample_Collector_Set", ours, "ipfix").strip(), "targets"
        )
        assert targets.strip() == '["192.0.2.9:4739", "[2001:db8::9]:4740"]'
        tell()
        assert len(rows()) == 2
        assert ours not in rows()  # made anew: the switch says its templates again
        tell(sampling=0)
        lab.vsctl(
            "dpu1", "--", "--id=@b", "get", "Bridge", "ovsbr1", "--", "set", "Flow_Sample_Collector_Set", others[0], "bridge=@b"
        )
        with pytest.raises(ExternalError, match="ovsbr1 can't tell its collectors"):
            tell()
        assert rows() == others
    finally:
        lab.vsctl("dpu1", "destroy", "Flow_Sample_Collector_Set", others[0])
