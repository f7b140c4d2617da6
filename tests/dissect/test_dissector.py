"""The child process with the real tshark, and with false ones that hang, die, flood or look around."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from workbench import dissect
from workbench.dissect.allowed import allowed
from workbench.dissect.dissector import Dissector, find_tshark
from workbench.errors import BadInputError, CancelledError, ExitCode, ExternalError, WorkbenchError

_spec = importlib.util.spec_from_file_location("talk", Path(__file__).with_name("talk.py"))
assert _spec is not None
assert _spec.loader is not None
talk: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(talk)

WEB = talk.pcapng(
    talk.tcp_talk(
        80,
        [
            (0, b"GET /a?token=S3CRET HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
            (1, b"HTTP/1.1 204 No\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"),
        ],
    )
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dissect")


@pytest.fixture
def false_tshark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Make a program called tshark, which anybody may run, of a shell script's body, and let only it be found."""
    with tempfile.TemporaryDirectory(prefix="workbench-false-") as name:
        folder = Path(name)
        folder.chmod(0o755)

        def make(body: str) -> None:
            script = folder / "tshark"
            fields = [("frame.number", "UINT32"), ("frame.len", "UINT32"), ("frame.protocols", "STRING")]
            known = "".join(f"F\tx\t{field}\tFT_{kind}\tframe\n" for field, kind in fields)
            asked = f'case "$*" in --version) echo "TShark 9.8.7";; "-G fields") printf "{known}";; -G*) ;; *)'
            script.write_text(f"#!/bin/sh\n{asked}\n{body}\n;; esac\n")
            script.chmod(0o755)

        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield make


def line(protocols: str, number: str = "1") -> str:
    """A shell command that prints a line as `tshark -T ek` does; shell words in it are replaced."""
    return (
        f'echo "{{\\"timestamp\\":\\"1\\",\\"layers\\":{{\\"frame_number\\":[\\"{number}\\"],'
        f'\\"frame_len\\":[\\"60\\"],\\"frame_protocols\\":[\\"{protocols}\\"]}}}}"'
    )


def gone(group: int) -> bool:
    """Nothing of a process group runs any more, or it ends presently: signals to a group arrive one by one."""
    return any(not running(group) or threading.Event().wait(0.05) for _ in range(200))


def running(group: int) -> bool:
    """Whether a process of that group runs (one that nobody has waited for yet does not)."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, found = entry.read_text().rpartition(")")[2].split()[:3]
            if int(found) == group and state != "Z":
                return True
    return False


def process_of(dissector: Dissector) -> int:
    assert dissector._process is not None
    return dissector._process.pid


# -- the real one -------------------------------------------------------------------------------------


@needs.program("tshark")
def test_a_list_and_a_tree(cache: Path) -> None:
    with Dissector(cache=cache) as dissector:
        lines = dissector.list(WEB, 100)
        assert [(one.number, one.src, one.dst, one.protocol) for one in lines[:4]] == [
            (1, "10.0.0.1", "10.0.0.2", "TCP"),
            (2, "10.0.0.2", "10.0.0.1", "TCP"),
            (3, "10.0.0.1", "10.0.0.2", "TCP"),
            (4, "10.0.0.1", "10.0.0.2", "HTTP"),
        ]
        assert len(lines) == 7
        assert lines[0].info == "40000 → 80 [SYN] seq=0 ack=0 len=0"
        assert lines[0].ts_ns == 1_700_000_000_000_000_000
        assert lines[3].info.endswith("GET /a host shop.example")
        assert lines[4].info.endswith("status 204 server nginx")
        assert len(dissector.list(WEB, 2)) == 2
        nodes = dissector.tree(WEB, 4)
        assert [node.name for node in nodes] == ["frame", "eth", "ip", "tcp", "http"]
        found = {node.name: node for node in talk.flat(nodes)}
        assert (found["tcp.dstport"].value, found["tcp.dstport"].offset, found["tcp.dstport"].length) == ("80", 36, 2)
        assert found["http.request.method"].value == "GET"
        assert found["http.request.uri"].value == "/a", "a path loses its query"
        assert found["http.request.uri.query"].masked
        assert found["http.request.uri.query"].value == f"(masked, {len('token=S3CRET')} bytes)"
        with pytest.raises(BadInputError, match="no packet 8"):
            dissector.tree(WEB, 8)
        group = process_of(dissector)
    assert gone(group)


@needs.program("tshark")
def test_a_file_is_read_as_bytes_are(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    file.write_bytes(WEB)
    with Dissector(cache=cache) as dissector:
        assert dissector.list(file, 3) == dissector.list(WEB, 3)
        with pytest.raises(BadInputError):
            dissector.list(tmp_path / "absent", 3)


@needs.program("tshark")
def test_the_version_is_known_and_no_allowed_field_is_missing(cache: Path) -> None:
    found = find_tshark(cache)
    assert found.version.split(".")[0].isdigit()
    if found.version.startswith("4.0."):
        assert found.missing == ()
    assert set(found.missing) < set(allowed())


@needs.program("tshark")
def test_the_catalogue_is_kept_and_one_that_others_can_write_is_not_used(cache: Path) -> None:
    find_tshark(cache)
    (kept,) = cache.glob("*.catalogue")
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.stat().st_mtime_ns
    find_tshark(cache)
    assert kept.stat().st_mtime_ns == before, "it was made anew"
    kept.write_bytes(b"nonsense")
    find_tshark(cache)
    assert kept.stat().st_size > 1000, "a damaged one is made anew"
    kept.chmod(0o666)
    before = kept.stat().st_mtime_ns
    find_tshark(cache)
    assert kept.stat().st_mtime_ns != before
    assert kept.stat().st_mode & 0o777 == 0o600


@needs.program("tshark")
def test_no_script_and_no_profile_of_the_person_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="workbench-home-") as name:
        home = Path(name)
        home.chmod(0o755)
        profile, plugins = home / ".config" / "wireshark", home / ".local" / "lib" / "wireshark" / "plugins"
        for number, folder in enumerate((profile, plugins)):
            folder.mkdir(parents=True)
            (folder / "init.lua").write_text(f'Proto("planted{number}", "Planted {number}")\n')
        (plugins / "other.lua").write_text('Proto("planted2", "Planted 2")\n')
        (profile / "preferences").write_text("tcp.relative_sequence_numbers: FALSE\n")
        for folder in home.rglob("*"):
            folder.chmod(0o755)
        for variable in ("WIRESHARK_CONFIG_DIR", "WIRESHARK_PLUGIN_DIR"):
            monkeypatch.setenv(variable, str(profile))
        monkeypatch.setenv("HOME", str(home))
        plain = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, check=True).stdout
        assert b"Planted 0" in plain, "the script does not work, so this test shows nothing"
        folder = home / "cache"
        with Dissector(cache=folder) as dissector:
            assert "seq=0" in dissector.list(WEB, 1)[0].info, "the person's preferences were used"
        (kept,) = folder.glob("*.catalogue")
        head = kept.read_bytes().partition(b"\n")[0]
        assert b"Transmission Control Protocol" in head
        assert b"lanted" not in head


@needs.program("tshark")
def test_any_packet_gives_a_line_and_a_tree_or_an_error_of_ours(cache: Path) -> None:
    chance = random.Random(7)
    bases = [
        *talk.tcp_talk(80, [(0, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), (1, b"HTTP/1.1 200 OK\r\n\r\n")]),
        *talk.udp_talk(53, [(0, b"\0\1\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0\1")]),
        *talk.tcp_talk(443, [(0, b"\x16\3\1\0\x2f\1\0\0\x2b\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\0")]),
        *talk.tcp_talk(445, [(0, b"\0\0\0\x40\xfeSMB\x40\0" + bytes(58))]),
    ]
    frames = []
    for n in range(400):
        frame = bytearray(chance.choice(bases))
        for _ in range(chance.randint(1, 6)):
            frame[chance.randrange(12, len(frame))] = chance.randrange(256)
        frames.append(bytes(frame[: chance.randint(14, len(frame))] if n % 3 == 0 else frame))
    capture = talk.pcapng(frames)
    with Dissector(cache=cache, timeout=60) as dissector:
        assert len(dissector.list(capture, 1000)) == 400
        assert len(dissector.trees(capture, 1, 400)) == 400
        for _ in range(6):
            cut = bytearray(capture[: chance.randint(1, len(capture))])
            cut[chance.randrange(len(cut))] ^= 0xFF
            with contextlib.suppress(WorkbenchError):
                dissector.list(bytes(cut), 10)


def test_the_program_itself_never_loads_pyshark() -> None:
    code = "import sys, workbench.dissect.dissector; sys.exit(bool({'pyshark', 'asyncio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


@needs.program("tshark")
def test_it_works_where_nobody_else_can_read_the_program(tmp_path: Path) -> None:
    """As root installs it under /root: once rights are given up, nothing of it can be opened any more."""
    tmp_path.chmod(0o700)
    shutil.copytree(Path(dissect.__file__).parents[1], tmp_path / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys, workbench; from workbench.dissect.dissector import Dissector\n"
        "assert workbench.__file__.startswith(sys.argv[1])\n"
        "web = bytes.fromhex(sys.argv[2])\n"
        "with Dissector(timeout=60) as d: print(len(d.list(web, 9)), len(d.tree(web, 4)))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path), WEB.hex()]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert (done.stdout, done.stderr) == ("7 5\n", "")


# -- false ones ---------------------------------------------------------------------------------------


def test_without_tshark_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ExternalError) as caught:
        find_tshark()
    assert caught.value.exit_code is ExitCode.EXTERNAL
    for words in ("apt install tshark", "dnf install wireshark-cli", "brew install wireshark"):
        assert words in caught.value.remedy


def test_what_it_runs_as(false_tshark: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    status = "$(grep -E '^NoNewPrivs' /proc/self/status | tr -dc 0-9)"
    words = "u$(id -u).g$(id -G | tr ' ' +).n" + status + ".c$(ulimit -c).f$(ulimit -f).o$(ulimit -n).v$(ulimit -v).t$(ulimit -t)"
    variables = "$(env | cut -d= -f1 | sort | tr '\\n' +)"
    false_tshark("\n".join((line(words), line("h$HOME"), line(variables), line("n$(grep -c : /proc/net/dev)"), line("d$(pwd)"))))
    monkeypatch.setenv("PLANTED_TOKEN", "x")
    with Dissector() as dissector:
        assert dissector.version == "9.8.7"
        found = [one.protocol.lower() for one in dissector.list(WEB, 9)]
    values = {part[0]: part[1:] for part in found[0].split(".")}
    assert values["n"] == "1", "it could gain rights by a set-uid program"
    assert (values["c"], values["f"], values["o"]) == ("0", "0", "128")
    assert int(values["v"]) <= 3 << 20
    assert int(values["t"]) <= 120
    assert found[1] == "h/proc/no-home"
    assert "planted_token" not in found[2]
    assert "wireshark_config_dir" in found[2]
    assert found[4] == "d/"
    if os.geteuid() == 0:
        assert values["u"] == "65534"
        assert values["g"] == "65534"
        assert found[3] == "n1", "it sees a network besides its own loopback"


def test_one_that_hangs_is_ended_and_the_next_question_is_answered(false_tshark: Callable[[str], None]) -> None:
    false_tshark("sleep 1000 & sleep 1000")
    with Dissector(timeout=1.5) as dissector:
        assert dissector.version == "9.8.7"
        group = process_of(dissector)
        with pytest.raises(ExternalError, match=r"did not answer within 1\.5 s"):
            dissector.list(WEB, 5)
        assert gone(group)
        false_tshark(line("eth:ip"))
        assert len(dissector.list(WEB, 5)) == 1


def test_one_that_hangs_can_be_cancelled_from_another_thread(false_tshark: Callable[[str], None]) -> None:
    false_tshark("sleep 1000")
    with Dissector(timeout=100) as dissector:
        assert dissector.version == "9.8.7"
        group = process_of(dissector)
        done = threading.Event()

        def cancel() -> None:
            while not done.wait(0.05):
                dissector.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            with pytest.raises(CancelledError):
                dissector.list(WEB, 5)
        finally:
            done.set()
            thread.join()
        assert gone(group)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("kill -9 $$", "signal 9"),
        ("kill -SEGV $$", "signal 11"),
        (line("eth:ip") + "\nexit 2", r"exit code 2\) after 1 packets"),
        ("yes | tr -d '\\n'", "more of these packets than is taken"),
    ],
)
def test_one_that_fails_is_told(false_tshark: Callable[[str], None], body: str, says: str) -> None:
    false_tshark(body)
    with Dissector(timeout=60) as dissector:
        with pytest.raises(ExternalError, match=says):
            dissector.list(WEB, 5)
        false_tshark(line("eth:ip"))
        assert len(dissector.list(WEB, 5)) == 1


def test_one_that_never_ends_is_read_as_far_as_wanted(false_tshark: Callable[[str], None]) -> None:
    false_tshark(f"while :; do {line('eth:ip')}; echo garbage; done")
    with Dissector(timeout=60) as dissector:
        assert len(dissector.list(WEB, 25)) == 25


def test_complaints_without_end_do_not_stop_it(false_tshark: Callable[[str], None]) -> None:
    false_tshark(f"head -c 5000000 /dev/zero | tr '\\0' x >&2\n{line('eth:ip')}")
    with Dissector(timeout=60) as dissector:
        assert len(dissector.list(WEB, 25)) == 1


@pytest.mark.parametrize("tree", ["<packet><x></packet>", "<packet><!DOCTYPE a></packet>"])
def test_a_tree_that_is_none_is_told(false_tshark: Callable[[str], None], tree: str) -> None:
    false_tshark(f"echo '{tree}'")
    with Dissector(timeout=60) as dissector, pytest.raises(ExternalError, match="cannot be read"):
        dissector.tree(WEB, 1)


def test_one_that_does_not_say_its_version_is_refused(false_tshark: Callable[[str], None]) -> None:
    false_tshark("")
    path = shutil.which("tshark")
    assert path is not None
    Path(path).write_text("#!/bin/sh\nexit 1\n")
    with Dissector() as dissector, pytest.raises(ExternalError, match="does not answer"):
        dissector.list(WEB, 1)


def test_nothing_is_left_behind_when_the_program_is_killed(false_tshark: Callable[[str], None]) -> None:
    false_tshark("sleep 1000")
    code = (
        "import sys, threading\n"
        "from workbench.dissect.dissector import Dissector\n"
        "d = Dissector(timeout=1000); d.version\n"
        "threading.Thread(target=d.list, args=(bytes.fromhex(sys.argv[1]), 5)).start()\n"
        "print(d._process.pid, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, WEB.hex()], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True
    ) as program:
        assert program.stdout is not None
        group = int(program.stdout.readline())
        assert running(group)
        program.send_signal(signal.SIGKILL)
        program.wait()
    assert gone(group)
