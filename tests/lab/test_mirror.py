"""`workbench mirror` on real Open vSwitch over real ssh: what it makes shows packets, what it leaves is what was there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make.recording import Recorder
from tests.lab import marks
from tests.lab.dataplane import DpuLab
from workbench.push.ovsdb import LIVE

pytestmark = marks.SHARED
ROOT = Path(__file__).parents[2]
WEB = "http://10.20.1.10/lab"


class Responder:
    """`workbench` in the management network, with an ssh that has the lab's configuration as a person's would have it."""

    def __init__(self, lab: DpuLab, folder: Path) -> None:
        self.lab = lab
        self.state = folder / "state"
        self.more: dict[str, str] = {}
        self.bin = folder / "bin"
        self.bin.mkdir()
        script = self.bin / "ssh"
        script.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {lab.folder}/ssh_config "$@"\n')
        script.chmod(0o755)

    def popen(self, *words: str) -> subprocess.Popen[str]:
        line, environment = self.lab.command("admin", [sys.executable, "-m", "workbench", *words])
        path = f"{self.bin}:{os.environ['PATH']}"
        environment |= {"PATH": path, "XDG_STATE_HOME": str(self.state), "PYTHONPATH": str(ROOT), **self.more}
        return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    def ask(self, *words: str, code: int = 0) -> tuple[str, str]:
        with self.popen(*words) as process:
            out, said = process.communicate(timeout=120)
        assert process.returncode == code, said
        return out, said

    def json(self, *words: str) -> Any:
        return json.loads(self.ask(*words, "--format", "json")[0])


def dump(lab: DpuLab, dpu: str = "dpu1", besides: Set[str] = frozenset({"statistics", "status", "link_resets"})) -> str:
    """The whole database as ovsdb-client dumps it, but for these columns: what the switch counts and measures by itself."""
    kept = []
    for line in sorted(lab.run(dpu, ["ovsdb-client", "dump", "--format=json"]).splitlines()):
        table = json.loads(line)
        live = [n for n, name in enumerate(table["headings"]) if name in besides]
        rows = [[value for n, value in enumerate(row) if n not in live] for row in table["data"]]
        kept.append(json.dumps([table["caption"], sorted(rows, key=str)]))
    return "\n".join(kept)


def configured(lab: DpuLab) -> str:
    """What a person or a controller configured; tests that configure or restart something themselves move the counters."""
    return dump(lab, besides=LIVE)


@pytest.fixture
def responder(dpu_lab: DpuLab, tmp_path: Path) -> Iterator[Responder]:
    one = Responder(dpu_lab, tmp_path)
    before = configured(dpu_lab)
    yield one
    one.ask("mirror", "teardown", "dpu1", "--everybody")
    assert configured(dpu_lab) == before


def test_a_mirror_shows_its_port_and_goes_without_a_trace(dpu_lab: DpuLab, responder: Responder) -> None:
    before = dump(dpu_lab)
    made = responder.json("mirror", "setup", "dpu1", "--ports", "pf0vf0")
    assert (made["bridge"], made["fresh"], made["datapath"], made["hw_offload"]) == ("ovsbr1", True, "netdev", False)
    assert any("pf0vf1" in line for line in made["unseen"])
    recorder = Recorder(dpu_lab, "dpu1", made["interface"], only="tcp port 80")
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    assert recorder.stop()["packets"] > 8  # both directions of a whole connection
    assert dump(dpu_lab) != before
    removed = responder.json("mirror", "teardown", "dpu1")
    assert [one["as_before"] for one in removed["removed"]] == [True]
    assert dump(dpu_lab) == before


def test_asking_twice_makes_one(dpu_lab: DpuLab, responder: Responder) -> None:
    first = responder.json("mirror", "setup", "ssh://root@dpu1", "--ports", "pf0vf0,pf0vf1")
    once = dump(dpu_lab)
    again = responder.json("mirror", "setup", "ssh://root@dpu1", "--ports", "pf0vf1,pf0vf0")
    assert (first["fresh"], again["fresh"], again["name"]) == (True, False, first["name"])
    assert dump(dpu_lab) == once
    rows = {row["mirror"]: row for row in responder.json("mirror", "list", "dpu1")}
    assert {name: row["ours"] for name, row in rows.items()} == {"mirror0": False, "mirror1": False, first["name"]: True}
    assert rows[first["name"]]["selects"] == "pf0vf0,pf0vf1"
    assert 0 <= rows[first["name"]]["age_seconds"] < 600
    assert "has stood for 0 minutes" in responder.ask("mirror", "list", "dpu1")[1]
    dpu_lab.vsctl("dpu1", "set", "Mirror", first["name"], 'external_ids:workbench-made="2026-01-01T00:00:00Z"')
    said = responder.ask("mirror", "list", "dpu1")[1]
    assert "forgotten? workbench mirror teardown ssh://dpu1" in said


def test_everything_of_a_named_bridge_is_mirrored_without_ports(dpu_lab: DpuLab, responder: Responder) -> None:
    said = responder.ask("mirror", "setup", "dpu1", code=2)[1]
    assert "br-phy (br-phy, mirror0, p0)" in said
    assert "ovsbr2 (" in said
    made = responder.json("mirror", "setup", "dpu1", "--bridge", "br-phy")
    recorder = Recorder(dpu_lab, "dpu1", made["interface"], only="udp port 4789")
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    assert recorder.stop()["packets"] > 8


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_a_killed_setup_left_is_put_back(dpu_lab: DpuLab, responder: Responder, tmp_path: Path, moment: str) -> None:
    before = dump(dpu_lab)
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    ssh = responder.bin / "ssh"
    real = ssh.read_text()
    change = f"{real.splitlines()[1].removeprefix('exec ')}"
    # an ssh that stops for ever around the one command that changes the database
    hold = {"before": f"cat {fifo}", "after": f"{change}; cat {fifo}"}[moment]
    ssh.write_text(f'#!/bin/sh\ncase "$*" in *add-port*) {hold};; *) exec {change};; esac\n')
    process = responder.popen("mirror", "setup", "dpu1", "--ports", "pf0vf0")
    with process, fifo.open("w"):  # opens once the held ssh reads
        process.send_signal(signal.SIGKILL)
        process.wait()
    ssh.write_text(real)
    assert (dump(dpu_lab) != before) == (moment == "after")
    removed = responder.json("mirror", "teardown", "dpu1")["removed"]
    assert [one["as_before"] for one in removed] == [True] * (moment == "after")
    assert dump(dpu_lab) == before
    assert not list((responder.state / "workbench" / "mirrors").iterdir())


def test_a_mirror_outlives_its_makers_notes_and_the_switch(dpu_lab: DpuLab, responder: Responder) -> None:
    name = responder.json("mirror", "setup", "dpu1", "--ports", "pf0vf0")["name"]
    shutil.rmtree(responder.state)
    dpu_lab.restart_switch("dpu1")
    again = responder.json("mirror", "setup", "dpu1", "--ports", "pf0vf0")
    assert (again["name"], again["fresh"]) == (name, False)
    recorder = Recorder(dpu_lab, "dpu1", name, only="tcp port 80")
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    assert recorder.stop()["packets"] > 8
    assert [one["as_before"] for one in responder.json("mirror", "teardown", "dpu1")["removed"]] == [True]
    assert name not in dump(dpu_lab)


def test_others_changes_meanwhile_are_kept_and_named(dpu_lab: DpuLab, responder: Responder) -> None:
    responder.ask("mirror", "setup", "dpu1", "--ports", "pf0vf0")
    dpu_lab.vsctl("dpu1", "set", "Port", "pf0vf1", "external_ids:who=else")
    try:
        (removed,) = responder.json("mirror", "teardown", "dpu1")["removed"]
        assert removed["as_before"] is False
        assert len(removed["changed"]) == 2
        assert '"who": "else"' in removed["changed"][1]
        assert "else" in dpu_lab.vsctl("dpu1", "get", "Port", "pf0vf1", "external_ids")
    finally:
        dpu_lab.vsctl("dpu1", "clear", "Port", "pf0vf1", "external_ids")


def test_anothers_mirror_is_left_alone_and_one_on_our_port_is_not_broken(dpu_lab: DpuLab, responder: Responder) -> None:
    name = responder.json("mirror", "setup", "dpu1", "--ports", "pf0vf0")["name"]
    dpu_lab.vsctl("dpu1", "set", "Mirror", name, "external_ids:workbench-owner=somebody@elsewhere")
    left = responder.json("mirror", "teardown", "dpu1")
    assert (left["removed"], [one["owner"] for one in left["left"]]) == ([], ["somebody@elsewhere"])
    new = f"--id=@o get Port {name} -- --id=@m create Mirror name=theirs output_port=@o -- add Bridge ovsbr1 mirrors @m"
    dpu_lab.vsctl("dpu1", *new.split())
    try:
        said = responder.ask("mirror", "teardown", "dpu1", "--everybody", code=4)[1]
        assert "theirs" in said
    finally:
        uuid = dpu_lab.vsctl("dpu1", "get", "Mirror", "theirs", "_uuid").strip()
        dpu_lab.vsctl("dpu1", "remove", "Bridge", "ovsbr1", "mirrors", uuid)


def test_a_port_that_the_switch_cannot_take_is_taken_back(dpu_lab: DpuLab, responder: Responder) -> None:
    from workbench.push.mirror import name_of
    from workbench.workflows.mirror import owner_name

    before = dump(dpu_lab)
    name = name_of(owner_name(), "ovsbr1", ["pf0vf0"])
    dpu_lab.ip("dpu1", f"link add {name} type veth peer name squatter")
    try:
        said = responder.ask("mirror", "setup", "dpu1", "--ports", "pf0vf0", code=4)[1]
        assert name in said
        assert dump(dpu_lab) == before
    finally:
        dpu_lab.ip("dpu1", "link del squatter")


def test_names_and_marks_made_to_be_obeyed_are_data(dpu_lab: DpuLab, responder: Responder, tmp_path: Path) -> None:
    made = tmp_path / "made"
    port = f"$(>{'x' * 9})"  # what a shell would make of it is a file
    dpu_lab.vsctl("dpu1", "add-port", "ovsbr1", port, "--", "set", "Interface", port, "type=internal")
    try:
        before = configured(dpu_lab)
        assert "no port that is taken" in responder.ask("mirror", "setup", "dpu1", "--ports", port, code=2)[1]
        assert "no port that is taken" in responder.ask("mirror", "setup", "dpu1", "--ports", "p0 -- del-br ovsbr1", code=2)[1]
        one = responder.json("mirror", "setup", "dpu1", "--bridge", "ovsbr1")
        assert one["name"] in configured(dpu_lab)
        evil = '\x1b[2J" -- destroy Bridge ovsbr1'
        dpu_lab.vsctl("dpu1", "set", "Mirror", one["name"], f"external_ids:workbench-owner={json.dumps(evil)}")
        out, said = responder.ask("mirror", "list", "dpu1", "--format", "table")
        assert port in said
        assert "destroy Bridge" in said
        assert "\x1b" not in out + said
        (gone,) = responder.json("mirror", "teardown", "dpu1", "--everybody")["removed"]
        assert gone["owner"] == evil
        assert configured(dpu_lab) == before
    finally:
        dpu_lab.vsctl("dpu1", "del-port", "ovsbr1", port)
    for host in (f"-oProxyCommand=touch {made}", f"ssh://-oProxyCommand=touch${{IFS}}{made}", f"dpu1;touch {made}"):
        responder.ask("mirror", "list", "--", host, code=2)
    responder.ask("attach", "--headless", "--case", str(tmp_path / "case"), f"ssh://-oProxyCommand=touch {made}/p0", code=2)
    assert not made.exists()
    assert not list(ROOT.glob("xxxxxxxxx"))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        pytest.param("nobody@dpu1", "Permission denied", id="user"),
        pytest.param("ssh://dpu1:2222", "Connection refused", id="port"),
        pytest.param("dpu9.invalid", "Could not resolve", id="name"),
    ],
)
def test_failures_of_ssh_are_its_own_words(responder: Responder, host: str, said: str) -> None:
    assert said in responder.ask("mirror", "list", host, code=4)[1]


def test_a_changed_host_key_is_refused(dpu_lab: DpuLab, responder: Responder) -> None:
    known = dpu_lab.folder / "known_dpus"
    was = known.read_text()
    known.write_text(was.replace(was.splitlines()[0].split()[2], was.splitlines()[1].split()[2], 1))
    try:
        assert "fingerprint" in responder.ask("mirror", "list", "dpu1", code=4)[1]
    finally:
        known.write_text(was)
