"""The runner: it measures what it says, judges by the budget, runs alternately, and says what is missing or failed."""

import ast
import json
import sys
from pathlib import Path

import pytest

from benchmarks import parts, peers
from benchmarks.measure import descendants, run
from benchmarks.parts import Bench
from benchmarks.peers import Contender
from benchmarks.report import Report, Row, number, table
from benchmarks.run import main
from benchmarks.screen import first_row

EAT = "import sys\nblock = b'x' * {size}\nsys.stdout.write('ate')\nimport time; time.sleep({seconds})"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, 2, 0.0, True, Report())


def script(name: str, code: str, **options: bool) -> Contender:
    return Contender(name, lambda captures, folder: [sys.executable, "-c", code], ours=True, **options)


def test_run_reports_output_code_and_memory(tmp_path: Path) -> None:
    result = run([sys.executable, "-c", EAT.format(size=80_000_000, seconds=0.3)], folder=tmp_path, memory=True)
    assert (result.code, result.stdout) == (0, "ate")
    assert 80e6 < result.peak_private < 130e6
    assert result.max_rss > 80e6
    assert result.seconds > 0.3


def test_memory_counts_the_whole_tree(tmp_path: Path) -> None:
    child = EAT.format(size=60_000_000, seconds=0.5)
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    assert run([sys.executable, "-c", code], folder=tmp_path, memory=True).peak_private > 60e6


def test_a_killed_run_has_its_code(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", "import time; time.sleep(60)"], folder=tmp_path, timeout=0.3).code == -9


def test_descendants_of_a_vanished_process_is_itself() -> None:
    assert descendants(2**22 + 1) == [2**22 + 1]


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("p", "w", 0.9, "x", 1.0), "met"),
        (Row("p", "w", 1.1, "x", 1.0), "missed"),
        (Row("p", "w", 5e6, "/s", 4e6, "higher"), "met"),
        (Row("p", "w", 3e6, "/s", 4e6, "higher"), "missed"),
        (Row("p", "w", 3.0, "s"), "-"),
    ],
)
def test_verdicts(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_numbers_for_people() -> None:
    assert [number(1.5e9, "B"), number(4.2e6, "/s"), number(0.98765, "x"), number(149.6, "ms"), number(1.5, "s")] == [
        "1,500 MB",
        "4.20 M/s",
        "0.988x",
        "150 ms",
        "1.50 s",
    ]


def test_table_puts_missed_budgets_first_and_says_what_is_missing() -> None:
    report = Report(
        [Row("a", "fine", 1.0, "x", 2.0), Row("b", "late", 3.0, "x", 2.0)], missing=["nfstream"], failures=["c: broke"]
    )
    text = table(report)
    assert text.index("late") < text.index("fine")
    assert "missing: nfstream" in text
    assert "FAILED: c: broke" in text


def test_race_alternates_runs_slow_ones_once_and_keeps_failures(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    note = f"open({str(log)!r}, 'a').write"
    quick = script("quick", f"{note}('q')")
    other = script("other", f"{note}('o')")
    slow = script("slow", f"{note}('s')", slow=True)
    broken = script("broken", "raise SystemExit('no such luck')")
    absent = Contender("no-such-program-here", lambda captures, folder: ["no-such-program-here"])
    bench.race("p", [], [quick, other, slow, broken, absent])
    assert log.read_text() == "qosoq"
    assert {name: len(times) for name, times in bench.report.times["p"].items()} == {"quick": 2, "other": 2, "slow": 1}
    assert bench.report.missing == ["no-such-program-here"]
    assert len(bench.report.failures) == 1
    assert not list(tmp_path.glob("run-*"))


def test_ratio_is_of_medians(bench: Bench) -> None:
    bench.report.times["p"] = {"us": [1.0, 9.0, 2.0], "them": [4.0]}
    bench.ratio("p", "us", "them", 1.0)
    bench.ratio("p", "us", "nobody", 1.0)
    assert [(row.value, row.verdict) for row in bench.report.rows] == [(0.5, "met")]


def test_captures_are_made_once(bench: Bench) -> None:
    path = bench.capture("mixed", 1)
    stamp = path.stat().st_mtime_ns
    assert bench.capture("mixed", 1) == path
    assert path.stat().st_mtime_ns == stamp
    assert bench.made[path.name] > 100


def test_captures_of_an_older_generator_are_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.capture("mixed", 1)
    path.write_bytes(b"")
    monkeypatch.setattr(parts, "generator", lambda: "another")
    assert bench.capture("mixed", 1).stat().st_size > 100_000


def test_a_generator_is_told_by_every_module_that_it_imports() -> None:
    here = Path(parts.__file__).parent
    found, waiting = set(), ["generate"]
    while waiting:
        name = waiting.pop()
        found.add(name)
        for node in ast.walk(ast.parse((here / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "benchmarks":
                named = [node.module.split(".")[1]] if "." in str(node.module) else [alias.name for alias in node.names]
                waiting += [name for name in named if name not in found]
    assert found == set(parts.GENERATOR)


def test_first_row_waits_for_an_address(tmp_path: Path) -> None:
    code = "import time; print('\\x1b[1mstarting 1.2.3', flush=True); time.sleep(0.3); "
    code += "print('10.\\x1b[0m0.0.7 up', flush=True); time.sleep(9)"
    painted, flow = first_row([sys.executable, "-c", code], tmp_path, peers.environment())
    assert painted + 0.2 < flow < painted + 5


def test_first_row_says_what_was_there_instead(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="nothing to see"):
        first_row([sys.executable, "-c", "print('nothing to see')"], tmp_path, peers.environment())


def test_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "index3g"])
    assert "no part index3g" in capsys.readouterr().err


def test_table_and_json_on_tiny_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """index2g from end to end, with stand-ins for us and the peers: the real ones are `make bench`'s business."""
    ours = (script("us off", "pass"), script("us on", "pass"))
    monkeypatch.setattr(parts, "OURS", ours)
    monkeypatch.setattr(parts, "PEERS", (script("nfpcapd", "pass"), script("sha256sum", "pass")))
    out = tmp_path / "r.json"
    assert main(["--only", "index2g", "--rounds", "1", "--scale", "0", "--cache", str(tmp_path / "c"), "--json", str(out)]) == 0
    said = json.loads(out.read_text())
    whats = [row["what"] for row in said["rows"]]
    assert "us off / nfpcapd" in whats
    assert "us on / sha256sum" in whats
    assert any("peak RssAnon" in what for what in whats)
    assert {row["verdict"] for row in said["rows"]} <= {"met", "missed", "-"}
    assert "us off / nfpcapd" in capsys.readouterr().out


def test_reading_a_small_synthetic_case_gives_every_row(tmp_path: Path) -> None:
    from benchmarks import reading

    report = Report()
    reading.measure(reading.case_of(tmp_path, 20_000), 1, report)
    whats = " ".join(row.what for row in report.rows)
    assert all(word in whats for word in ("page at any depth", "filter", "timeline", "top talkers"))
    assert all(row.value > 0 for row in report.rows)
