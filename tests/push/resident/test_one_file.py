"""The resident is one file for old machines, and its ssh command does nothing but its protocol."""

from __future__ import annotations

import ast
import io
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.push.resident.people import People, folder_of
from workbench.push.compiled import NftLayout, OvsLayout
from workbench.push.enrolment import _PROGRAMS
from workbench.push.resident import workbench_dpu as dpu

FILE = Path(dpu.__file__)
#: In the standard library since a version after 3.8.
NEWER = {"removeprefix", "removesuffix", "lcm", "to_thread", "hardlink_to", "is_relative_to", "with_stem", "readlink", "batched"}


def test_it_is_python_38_of_the_standard_library_alone() -> None:
    tree = ast.parse(FILE.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            assert node.level == 0
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names, name
        assert not (isinstance(node, ast.Attribute) and node.attr in NEWER), ast.dump(node)
        assert not isinstance(node, ast.Match)
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and isinstance(node.left, ast.Dict))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
            assert not node.keywords


def test_it_runs_nothing_through_a_shell_and_evaluates_nothing() -> None:
    tree = ast.parse(FILE.read_text())
    runs = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            assert name not in ("eval", "exec", "system", "popen", "Popen", "execv", "getenv", "__import__")
            runs += name == "run" and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "subprocess"
            assert not any(word.arg == "shell" for word in node.keywords)
        assert not (isinstance(node, ast.Attribute) and node.attr in ("environ", "pickle", "marshal"))
    assert runs == 1


def test_what_is_ours_is_what_the_compilers_write() -> None:
    assert OvsLayout().ours == dpu.OURS
    assert NftLayout().table == dpu.TABLE


def frames(data: bytes) -> list[dict[str, object]]:
    stream = io.BytesIO(data)
    found = []
    while (one := dpu.read_frame(stream)) is not None:
        found.append(one)
    return found


def served(folder: Path, given: bytes) -> list[dict[str, object]]:
    out = io.BytesIO()
    dpu.serve(folder, io.BytesIO(given), out)
    return frames(out.getvalue())


def test_damaged_frames_get_an_answer_and_an_end(tmp_path: Path, people: People) -> None:
    folder = folder_of(tmp_path / "dpu", people)
    good = b'WBD1\0\0\0\x20{"protocol":9,"ask":"nothing"  }'[:8]
    body = b'{"protocol":9,"ask":"x"}'
    whole = b"WBD1" + struct.pack(">I", len(body)) + body
    assert [one["code"] for one in served(folder, whole * 2)] == ["old-protocol"] * 2
    for cut in (b"x", b"WBD2\0\0\0\0", good, whole[:-1], b"WBD1\xff\xff\xff\xff", b"SSH-2.0-x\r\n", b"WBD1\0\0\0\2[]", b"\0" * 8):
        assert [one["code"] for one in served(folder, whole + cut)] == ["old-protocol", "malformed"]
    assert served(folder, b"") == []


def test_noise_does_nothing_but_get_refused(tmp_path: Path, people: People) -> None:
    folder = folder_of(tmp_path / "dpu", people)
    before = sorted(path.name for path in folder.iterdir())
    chance = random.Random(8)
    words = [
        b"protocol",
        b"ask",
        b"apply",
        b"bundle",
        b"status",
        b"1",
        b"{",
        b"}",
        b":",
        b",",
        b'"',
        b"[",
        b"]",
        b"\xff",
        b"null",
        b"/",
    ]
    for _ in range(400):
        body = b"".join(chance.choice(words) for _ in range(chance.randrange(30)))
        if chance.random() < 0.5:
            asked = chance.choice(["apply", "confirm", "rollback", "members", "x", None, 3])
            value = chance.choice([None, 0, "", "x", [], {}, [1], {"a": 1}, "\u0000", 1.5, True])
            body = dpu.canonical(
                {"protocol": dpu.PROTOCOL, "ask": asked, chance.choice(["bundle", "statement", "signature", "window"]): value}
            )
        for one in served(folder, b"WBD1" + struct.pack(">I", len(body)) + body):
            assert one["ok"] is False
            assert one["code"] in ("malformed", "old-protocol", "unsigned", "nothing-pending")
    assert sorted({path.name for path in folder.iterdir()} - set(before)) == ["lock"]


@pytest.mark.parametrize(
    "words", [[], ["serve"], ["serve", "relative"], ["shell", "/tmp"], ["serve", "/tmp", "; id"], ["--help"]]
)
def test_other_words_start_nothing(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(FILE), *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage:")


def test_what_the_client_asked_ssh_for_is_not_read(tmp_path: Path, people: People) -> None:
    folder = folder_of(tmp_path / "dpu", people)
    mark = tmp_path / "mark"
    environment = {**os.environ, "SSH_ORIGINAL_COMMAND": f"touch {mark}", "WORKBENCH_DPU_FAULT": "1", "PYTHONSTARTUP": "x"}
    body = dpu.canonical({"protocol": dpu.PROTOCOL, "ask": f"$(touch {mark})"})
    given = b"WBD1" + struct.pack(">I", len(body)) + body
    done = subprocess.run(
        [sys.executable, "-I", str(FILE), "serve", str(folder)], input=given, capture_output=True, env=environment, check=True
    )
    assert frames(done.stdout)[0]["code"] == "malformed"
    assert not mark.exists()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([(0, "level : RESTRICTED"), (0, "level : RESTRICTED")], "restricted"),
        ([(0, "level : RESTRICTED"), (0, "level : PRIVILEGED")], "privileged"),
        ([(0, "level : RESTRICTED"), (1, "level : RESTRICTED")], "unknown"),
        ([(0, "level : RESTRICTED"), (0, "")], "unknown"),
        ([(0, "UNRESTRICTED"), (1, "")], "privileged"),
        ([], "unknown"),
    ],
)
def test_a_host_is_restricted_only_where_every_device_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[tuple[int, str]], found: str
) -> None:
    answers = {}
    for number, answer in enumerate(said):
        (tmp_path / f"mt41692_pciconf{number}").touch()
        answers[str(tmp_path / f"mt41692_pciconf{number}")] = answer
    (tmp_path / "mt41692_pciconf0.1").touch()  # the second port of a device that is asked

    def run(words: list[str]) -> subprocess.CompletedProcess[bytes]:
        code, text = answers[words[2]]
        return subprocess.CompletedProcess(words, code, text.encode(), b"")

    monkeypatch.setattr(dpu, "_run", run)
    monkeypatch.setattr(dpu.shutil, "which", lambda *_a, **_k: "mlxprivhost")
    assert dpu._host_rights(tmp_path) == found


def test_whoever_enrols_asks_for_every_program_that_it_runs() -> None:
    words = {
        node.elts[0].value
        for node in ast.walk(ast.parse(FILE.read_text()))
        if isinstance(node, ast.List) and node.elts and isinstance(node.elts[0], ast.Constant)
    }
    runs = {word for word in words if isinstance(word, str) and (word.startswith("ovs-") or word in ("nft", "ssh-keygen"))}
    assert "ovs-appctl" in runs
    assert runs <= set(_PROGRAMS["ovs"]) | set(_PROGRAMS["nft"])


def test_an_answer_that_no_frame_holds_is_told_so(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "dpu", people)
    monkeypatch.setattr(dpu.Resident, "answer", lambda _self, _ask: {"text": "x" * dpu.MOST})
    body = b'{"protocol":1,"ask":"status"}'
    assert [one["code"] for one in served(folder, b"WBD1" + struct.pack(">I", len(body)) + body)] == ["too-large"]


def test_a_command_left_behind_keeps_the_lock_until_it_ends(tmp_path: Path, people: People) -> None:
    import signal
    import time

    folder = folder_of(tmp_path / "dpu", people)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        one = dpu.Resident(folder)
        with one.held():
            one.dataplane._do(
                [sys.executable, "-c", f"import os, time; os.write({write}, b'%d' % os.getpid()); time.sleep(30)"], (write,)
            )
        os._exit(0)
    left = int(os.read(read, 20))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    other = dpu.Resident(folder)
    with pytest.raises(dpu.Refused) as caught, other.held(0.1):
        pass
    assert caught.value.code == "busy"
    os.kill(left, signal.SIGKILL)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with other.held(0.1):
                break
        except dpu.Refused:
            continue
    else:
        pytest.fail("the lock is still held")


class Commands:
    """Stands in for commands: what was run with which text; `says` by the command's first word."""

    def __init__(self, **says: str) -> None:
        self.says = says
        self.ran: list[tuple[str, ...]] = []
        self.fails = ""

    def __call__(self, words: list[str], _given: bytes = b"", _env: object = None, keep: tuple[int, ...] = ()) -> object:
        held = [word for word in words if word.startswith("/proc/self/fd/")]
        assert all(int(word.rpartition("/")[2]) in keep for word in held)
        self.ran.append((words[0], *(Path(word).read_text() for word in held)))
        code = int(words[0] == self.fails)
        return subprocess.CompletedProcess(words, code, self.says.get(words[0], "").encode(), b"no")


def test_rules_are_handed_over_whole_and_only_to_a_switch_that_restores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = dpu.Dataplane({"dataplane": "ovs", "bridge": "br0"})
    monkeypatch.setattr(dpu, "_run", run := Commands())
    plane.load("x\n")
    assert ("ovs-ofctl", "x\n") in run.ran
    run.fails = "ovs-appctl"
    plane.load("x\n")
    assert plane.remembers
    run.fails = ""
    plane.load("x\n")
    assert plane.remembers == ""
    monkeypatch.setattr(dpu, "_run", run := Commands(**{"ovs-vsctl": '"true"\n'}))
    with pytest.raises(dpu.Refused) as caught:
        plane.load("x\n")
    assert caught.value.code == "restoring"
    assert [one[0] for one in run.ran] == ["ovs-vsctl"]


def test_a_disk_that_takes_no_pid_file_ends_no_daemon(
    tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "dpu", people)

    class EnoughError(Exception):
        pass

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def enough(_seconds: float) -> None:
        raise EnoughError

    monkeypatch.setattr(dpu.Resident, "write", full)
    monkeypatch.setattr(dpu.Resident, "watch", lambda _self: os.write(2, b"it watches\n"))
    monkeypatch.setattr(dpu.time, "sleep", enough)
    with pytest.raises(EnoughError):
        dpu.supervise(folder)
    assert "it watches" in capfd.readouterr().err
