"""Every command and option is explained, in the program and in docs/cli.md; errors have their codes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from workbench import __version__
from workbench.cli import app as cli
from workbench.cli.commands import COMMANDS
from workbench.errors import CaseBusyError, ExitCode, WorkbenchError
from workbench.workflows.requests import OpenRequest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(command: Any = None, path: tuple[str, ...] = ("workbench",)) -> Iterator[tuple[str, Any]]:
    """Every command of the registry with the words that call it."""
    command = command or get_command(cli.app)
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


ALL = dict(commands())


def test_the_commands_are_those_that_are_done() -> None:
    assert set(ALL) == {
        "workbench",
        *(
            f"workbench {w}"
            for w in ["open", "index", "import", "attach", "flows", "query", "workloads", "detect", "packets", "note", "audit"]
        ),
        *(f"workbench {w}" for w in ["serve", "doctor", "completions"]),
        "workbench audit show",
        *(f"workbench audit {w}" for w in ["verify", "root", "sign", "prove"]),
        "workbench mirror",
        *(f"workbench mirror {w}" for w in ["setup", "list", "teardown"]),
        "workbench push",
        *(
            f"workbench push {w}"
            for w in ["enrol", "plan", "sign", "approve", "verify", "apply", "confirm", "rollback", "review"]
        ),
        *(f"workbench push {w}" for w in ["status", "drift", "reconcile"]),
        "workbench policy",
        *(f"workbench policy {w}" for w in ["lint", "show", "test", "diff", "prove", "import", "suggest", "compile"]),
    }


def test_lists_say_what_the_commands_say_themselves() -> None:
    """The table that `workbench --help` and completion read instead of building every command."""
    for name, place in COMMANDS.items():
        whole = ALL[f"workbench {name}"]
        assert (whole.help or "").split("\n\n", 1)[0] == place.help
        assert (whole.name, whole.hidden, whole.deprecated, whole.short_help) == (name, False, False, None)


def test_a_group_without_a_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["push"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "\n  enrol " in err
    assert "\n  drift " in err


@pytest.mark.parametrize("words", sorted(ALL))
def test_command_is_explained(words: str) -> None:
    command = ALL[words]
    assert (command.help or "").strip().endswith("."), "a command's help is one or more sentences"
    assert f"## `{words}" in DOCUMENT or words == "workbench"


@pytest.mark.parametrize("words", sorted(ALL))
def test_options_are_explained(words: str) -> None:
    section = DOCUMENT.split(f"## `{words}", 1)[-1].split("\n## ", 1)[0]
    for parameter in ALL[words].params:
        assert (parameter.help or "").strip().endswith("."), parameter.name
        for option in [o for o in parameter.opts if o.startswith("-")]:
            assert f"`{option}" in section, f"{option} of {words} is not in docs/cli.md"


def test_documents_hold_no_option_that_does_not_exist() -> None:
    known = {option for command in ALL.values() for p in command.params for option in p.opts} | {"--help"}
    written = {word.strip("`[],.;:()\\|") for word in DOCUMENT.replace("`", " ").split() if word.startswith("--")}
    assert written <= known


def test_every_exit_code_is_documented() -> None:
    for code in ExitCode:
        assert f"| {int(code)} |" in DOCUMENT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["indx"], "index"),
        (["index", "--cas", "x", "y"], "--case"),
        (["flows"], "--case"),
        (["index", "--case", "x"], "PATH"),
        (["index", "a.pcap", "--case", "x", "--hash", "md5"], "sha256"),
        (["flows", "--case", "x", "--limit", "-1"], "--limit"),
        (["query", "--case", "x"], "SQL"),
        (["completions", "tcsh"], "bash"),
        (["query", "--case", "x", "SELECT '\udce9'"], "UTF-8"),
        (["flows", "--case", "x\udce9"], "UTF-8"),
        (["index", "a.pcap", "--case", "x", "--bpf"], "--bpf"),
        (["index", "a.pcap", "--case", "x", "--bpf", "tcp\udce9"], "UTF-8"),
        (["flows", "--case", "x", "--filter", "tcp\udce9"], "UTF-8"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_right(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Wrong usage: ")
    assert said in err
    assert "--help" in err


def raising(error: BaseException) -> Any:
    def command() -> None:
        raise error

    return command


def run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException, *words: str) -> OpenRequest | int:
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(cli._recent)
    app.command("fail")(raising(error))
    monkeypatch.setattr(cli, "app", app)
    return cli.run([*words, "fail"])


@pytest.mark.parametrize("kind", sorted(WorkbenchError.__subclasses__(), key=lambda k: k.__name__))
def test_expected_failures_have_title_message_remedy_and_code(
    kind: type[WorkbenchError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(monkeypatch, kind("it \x1b[2Jbroke", "Mend it.")) == kind.exit_code
    assert capsys.readouterr() == ("", f"{kind.title}: it \u241b[2Jbroke\n  Mend it.\n")


def test_a_bug_is_5_and_its_traceback_is_kept_private(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("WORKBENCH_DEBUG", raising=False)
    for _ in range(2):
        assert run_raising(monkeypatch, ZeroDivisionError("oops")) == 5
        out, err = capsys.readouterr()
        assert out == ""
        assert "ZeroDivisionError: oops" in err
        assert "Traceback" not in err
    path = tmp_path / "workbench" / "traceback.txt"
    assert str(path) in err
    assert "Traceback" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_DEBUG", "")
    assert run_raising(monkeypatch, ZeroDivisionError("oops"), "--debug") == 5
    assert "Traceback" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be_written_is_no_second_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert run_raising(monkeypatch, ZeroDivisionError("oops")) == 5
    assert "--debug" in capsys.readouterr().err


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_raising(monkeypatch, KeyboardInterrupt()) == 130
    assert run_raising(monkeypatch, RuntimeError("Query interrupted")) == 130  # as the engine says it while a case is opened
    assert run_raising(monkeypatch, CaseBusyError("x")) == 4


def test_without_a_command_the_app_shows_recent_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.run([]) == OpenRequest()


def test_without_a_terminal_there_is_no_app(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["open", "x.pcap"]):
        assert cli.run(words) == 2
        assert "terminal" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"workbench {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["index", "-h"], ["--version"], ["completions", "bash"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom workbench.cli.app import run\n"
        f"code = run({words!r})\n"
        "heavy = {'duckdb', 'pyarrow', 'numba', 'numpy', 'textual', 'rich', 'multiprocessing', 'yaml'} & set(sys.modules)\n"
        "heavy |= {'workbench.cli.push', 'workbench.cli.attach'} & set(sys.modules)  # commands that were not asked for\n"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completions_name_the_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["completions", shell]) == 0
    assert "_WORKBENCH_COMPLETE" in capsys.readouterr().out


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    program = tmp_path / "workbench"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m workbench "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(workbench completions bash)"\n'
        "COMP_WORDS=(workbench inde); COMP_CWORD=1; _workbench_completion workbench; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(workbench index --key); COMP_CWORD=2; _workbench_completion workbench; echo ${COMPREPLY[@]}\n"
    )
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, timeout=60)
    assert done.stdout.split() == ["index", "--key-scope"], done.stderr
