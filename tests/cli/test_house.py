"""`doctor` prints what was found, and its exit code is about what is required."""

import json

import pytest

from workbench.cli import app as cli
from workbench.workflows import doctor, kernels
from workbench.workflows.doctor import Check

FINE = Check("tool", "tshark", "missing", "not found", "It is for \x1b[2Jdissecting.")
BROKEN = Check("package", "numba", "wrong", "not installed", "Install it.")


@pytest.mark.parametrize(("checks", "code"), [([FINE], 0), ([FINE, BROKEN], 4)])
def test_only_what_is_required_fails(
    checks: list[Check], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter(checks))
    assert cli.run(["doctor"]) == code
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"missing  {'tshark':{max(len(c.name) for c in checks)}}  not found"
    assert out[1].endswith("It is for \u241b[2Jdissecting.")
    assert len(out) == 2 * len(checks)


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([BROKEN]))
    assert cli.run(["doctor", "--format", "json"]) == 4
    assert json.loads(capsys.readouterr().out) == [
        {"area": "package", "name": "numba", "state": "wrong", "value": "not installed", "advice": "Install it."}
    ]


def test_warm_compiles_first_and_says_so_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    monkeypatch.setattr(kernels, "warm", lambda _show: order.append("warm") or 7)
    monkeypatch.setattr(doctor, "examine", lambda: order.append("examine") or iter([FINE]))
    assert cli.run(["doctor", "--warm"]) == 0
    assert order == ["warm", "examine"]
    assert "7 kernels" in capsys.readouterr().err
