"""What docs/policy.md shows is what the commands say: its transcripts are run, its examples load, its lists are whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from workbench.cli.app import run
from workbench.errors import ExitCode
from workbench.policy.loader import load
from workbench.policy.model import Group, Policy, Rule

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
POLICIES = sorted((ROOT / "docs" / "policies").glob("*.yaml"))


class Session:
    """A person at a terminal in a folder with the example policies."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys, self.code = folder, capsys, 0

    def type(self, line: str) -> str:
        """What one command line says, on stdout and then on stderr."""
        import shlex
        import subprocess

        if line == "echo $?":
            return f"{self.code}\n"
        if not line.startswith("workbench "):
            subprocess.run(["/bin/sh", "-c", line], cwd=self.folder, check=True)
            return ""
        self.capsys.readouterr()
        self.code = int(run(shlex.split(line)[1:]))  # type: ignore[call-overload]
        out, err = self.capsys.readouterr()
        return out + err


def transcripts(session: Session) -> Iterator[tuple[str, str]]:
    """Each block of the page as it stands, and as it is when its commands are typed again."""
    for block in BLOCKS:
        said = ""
        for line in block.splitlines():
            if line.startswith("$ "):
                said += f"{line}\n{session.type(line[2:])}"
        yield block, said


def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Session:
    """A terminal of 130 columns, without colours, in a folder with the example policies and a case."""
    for file in POLICIES:
        shutil.copy(file, tmp_path)
    shutil.copy(ROOT / "sample_captures" / "esxi-lateral.pcapng", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_CONFIG", "")
    monkeypatch.setattr("workbench.cli.formats.sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "130")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run(["index", "esxi-lateral.pcapng", "--case", "case"]) == 0
    return Session(tmp_path, capsys)


def test_transcripts_are_what_the_commands_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for block, said in transcripts(begin(tmp_path, monkeypatch, capsys)):
        assert said == block


def test_the_page_shows_the_example_as_it_lies_there() -> None:
    assert (ROOT / "docs" / "policies" / "contain-esxi.yaml").read_text() in PAGE


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_examples_pass_their_own_tests_and_lint(file: Path) -> None:
    assert run(["policy", "test", str(file)]) == 0
    assert run(["policy", "lint", str(file)]) == 0


def test_every_key_is_explained() -> None:
    keys = {info.alias or name for model in (Policy, Group, Rule) for name, info in model.model_fields.items()}
    assert not {key for key in keys if f"`{key}`" not in PAGE}


def test_every_code_of_lint_is_listed() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "workbench" / "policy").glob("lint*.py"))
    codes = set(re.findall(r'(?:"(?:error|warning|note)"|severity), "([a-z-]+)",', sources)) - {"warning"}
    codes |= {f"guard-{name}" for name in re.findall(r'Guard\("([a-z0-9]+)"', sources)}
    assert len(codes) > 12
    assert not {code for code in codes if f"`{code}`" not in PAGE}


def test_every_exit_code_but_an_interrupt_is_listed() -> None:
    section = PAGE.split("## Commands")[1].split("### lint")[0]
    assert all(f"| {int(code)} |" in section for code in ExitCode if code is not ExitCode.INTERRUPTED)


def test_the_pipeline_is_yaml_of_commands_that_exist() -> None:
    block = PAGE.split("## In a pipeline")[1].split("```yaml\n")[1].split("```")[0]
    script = yaml.safe_load(block)["check-policy"]["script"].splitlines()
    commands = {line.split()[2] for line in script if line.startswith("workbench policy")}
    assert commands == {"lint", "test", "diff", "prove"}


def test_the_first_example_loads() -> None:
    assert load([("page", PAGE.split("```yaml\n")[1].split("```")[0])]).policy.metadata.name == "contain-esxi"
