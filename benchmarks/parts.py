"""The parts of the benchmark: each measures one or more budget lines of docs/benchmarks.md and can be run alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import generate, screen, telemetry
from benchmarks.measure import Run, run, warm
from benchmarks.peers import OURS, PEERS, Contender, environment, present, workbench
from benchmarks.report import Report, Row

MEMORY_BUDGET = 1.5e9
GENERATOR = ("dialogues", "frames", "generate", "mix", "quic", "stamp", "tls")
"""the modules of this package that a generated capture depends on"""


def generator() -> str:
    """A digest of what generates captures: one kept from before says nothing of what was added since."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in GENERATOR)).hexdigest()[:16]


@dataclass(slots=True)
class Bench:
    """What every part needs: where generated captures and scratch folders are, how often to run, and the report."""

    cache: Path
    rounds: int
    scale: float
    """1.0 measures the budgets; less shrinks every capture, for trying the benchmark itself"""
    peers: bool
    report: Report
    made: dict[str, int] = field(default_factory=dict)
    """packets of each generated capture"""
    flows_case: Path | None = None
    """a case of many flows that is already there, instead of one that takes minutes to make"""

    def capture(self, kind: str, size: int, seed: int = 1) -> Path:
        """A generated capture, made once and kept in the cache folder; made again where the generator has changed since."""
        size = max(int(size * self.scale), 200_000)
        path = self.cache / f"{kind}-{size}-{seed}.pcap"
        note = path.with_suffix(".json")
        by = generator()
        if not note.exists() or json.loads(note.read_text()).get("generator") != by:
            self.cache.mkdir(parents=True, exist_ok=True)
            print(f"making {path.name} ...", flush=True)
            with path.open("wb") as out:
                summary = generate.generate(out, size, kind=kind, seed=seed)
            said = {"packets": summary.packets, "bytes": summary.bytes, "conversations": summary.flows, "generator": by}
            note.write_text(json.dumps(said))
        self.made[path.name] = int(json.loads(note.read_text())["packets"])
        warm(path)
        return path

    def scratch(self) -> Path:
        """A fresh folder on the same disk as the captures; the caller removes it."""
        return Path(tempfile.mkdtemp(prefix="run-", dir=self.cache))

    def once(self, part: str, contender: Contender, captures: Sequence[Path], *, memory: bool = False) -> Run | None:
        """One run in a folder of its own; None, and a line in the report, where it failed."""
        folder = self.scratch()
        try:
            result = run(contender.command(captures, folder), folder=folder, memory=memory, env=environment())
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if result.code:
            self.report.fail(part, contender.name, f"exit {result.code}: {_last(result.stderr) or _last(result.stdout)}")
            return None
        return result

    def race(self, part: str, captures: Sequence[Path], contenders: Sequence[Contender]) -> None:
        """Run the contenders alternately, each round beginning with another; keeps every time in the report."""
        here = []
        for contender in contenders:
            if present(contender):
                here.append(contender)
            elif contender.name not in self.report.missing:
                self.report.missing.append(contender.name)
        times, cpu = self.report.times.setdefault(part, {}), self.report.cpu.setdefault(part, {})
        broken: set[str] = set()
        for turn in range(self.rounds):
            shift = turn % max(len(here), 1)
            for contender in here[shift:] + here[:shift]:
                if contender.name in broken or (contender.slow and times.get(contender.name)):
                    continue
                result = self.once(part, contender, captures)
                if result is None:
                    broken.add(contender.name)
                else:
                    times.setdefault(contender.name, []).append(result.seconds)
                    cpu.setdefault(contender.name, []).append(result.cpu)

    def ratio(self, part: str, ours: str, peer: str, budget: float | None) -> None:
        """A row that sets our median beside a peer's, where both ran."""
        mine, theirs = self.report.median(part, ours), self.report.median(part, peer)
        if mine is not None and theirs:
            self.report.add(Row(part, f"{ours} / {peer}", mine / theirs, "x", budget, note=f"{mine:.2f} s / {theirs:.2f} s"))

    def rates(self, part: str, capture: Path) -> None:
        """Median seconds and packets a second of everyone who ran."""
        for name in self.report.times.get(part, {}):
            seconds = self.report.median(part, name)
            if seconds:
                rate = self.made[capture.name] / seconds
                busy = statistics.median(self.report.cpu[part][name])
                self.report.add(
                    Row(part, f"{name}: seconds", seconds, "s", note=f"{busy:.2f} s of CPU, {rate / 1e6:.2f} M packets/s")
                )

    def memory(self, part: str, captures: Sequence[Path], hashing: int = 0) -> None:
        """One sampled run of ours, judged by the memory budget."""
        result = self.once(part, OURS[hashing], captures, memory=True)
        if result is not None:
            self.report.add(
                Row(part, f"{OURS[hashing].name}: peak RssAnon+RssShmem, all processes", result.peak_private, "B", MEMORY_BUDGET)
            )

    def peer_memory(self, part: str, capture: Path) -> None:
        """Peak resident set of the quick peers, reported."""
        for contender in PEERS[:3]:
            if present(contender):
                result = self.once(part, contender, [capture])
                if result is not None:
                    self.report.add(Row(part, f"{contender.name}: peak resident set", result.max_rss, "B"))


def _last(text: str) -> str:
    """The last two lines: where programs say what went wrong."""
    return " / ".join(text.strip().splitlines()[-2:])


def index2g(bench: Bench) -> None:
    """A 2 GB mixed capture against everyone."""
    capture = bench.capture("mixed", 2_000_000_000)
    bench.race("index2g", [capture], [*OURS, *(PEERS if bench.peers else ())])
    off, sha = OURS[0].name, OURS[1].name
    for ours, peer, budget in (
        (off, "nfpcapd", 1.0),
        (sha, "nfpcapd", 1.3),
        (off, "argus", 0.5),
        (off, "nfstream", 0.1),
        (off, "tshark -z conv", 0.02),
        (off, "softflowd", None),
        (off, "tcpdump -w /dev/null", None),
        (off, "capinfos -c", None),
        (sha, "sha256sum", None),
        (sha, "openssl dgst -sha256", None),
    ):
        bench.ratio("index2g", ours, peer, budget)
    bench.rates("index2g", capture)
    bench.memory("index2g", [capture], 0)
    bench.memory("index2g", [capture], 1)
    if bench.peers:
        bench.peer_memory("index2g", capture)


def index10g(bench: Bench) -> None:
    """A 10 GB mixed capture: the start-up cost matters less, and memory must not grow."""
    capture = bench.capture("mixed", 10_000_000_000)
    quick = [p for p in PEERS if p.name in ("nfpcapd", "sha256sum", "openssl dgst -sha256")]
    bench.race("index10g", [capture], [*OURS, *quick])
    bench.ratio("index10g", OURS[0].name, "nfpcapd", 0.7)
    for hasher in (
        "sha256sum",
        "openssl dgst -sha256",
    ):  # where sha256sum does without the processor's SHA instructions it is easily beaten
        bench.ratio("index10g", OURS[1].name, hasher, 1.15)
    bench.rates("index10g", capture)
    bench.memory("index10g", [capture])


def small(bench: Bench) -> None:
    """60-byte packets: the rate of the whole process."""
    capture = bench.capture("small", 1_216_000_000)
    bench.race("small", [capture], [OURS[0], *(PEERS[:4] if bench.peers else ())])
    seconds = bench.report.median("small", OURS[0].name)
    if seconds:
        rate = bench.made[capture.name] / seconds
        bench.report.add(Row("small", f"{OURS[0].name}: 60-byte packets a second", rate, "/s", 4e6, "higher"))
    bench.ratio("small", OURS[0].name, "nfpcapd", None)
    bench.rates("small", capture)
    bench.memory("small", [capture])


def scan(bench: Bench) -> None:
    """One-packet flows: memory stays bounded; the ratio is reported."""
    capture = bench.capture("scan", 820_000_000)
    bench.race("scan", [capture], [OURS[0], *(PEERS[:3] if bench.peers else ())])
    bench.ratio("scan", OURS[0].name, "nfpcapd", None)
    bench.rates("scan", capture)
    bench.memory("scan", [capture])


def two(bench: Bench) -> None:
    """Two files with a worker each against one after the other."""
    pair = [bench.capture("mixed", 1_000_000_000, seed) for seed in (1, 2)]
    alone, together = [], []
    for _ in range(bench.rounds):
        single = [bench.once("two", OURS[0], [path]) for path in pair]
        both = bench.once("two", OURS[0], pair)
        if both is None or None in single:
            return
        alone.append(sum(r.seconds for r in single if r))
        together.append(both.seconds)
    bench.report.times["two"] = {"one after the other": alone, "together": together}
    speedup = statistics.median(alone) / statistics.median(together)
    note = f"{statistics.median(alone):.2f} s / {statistics.median(together):.2f} s"
    bench.report.add(Row("two", "two files: one after the other / together", speedup, "x", 1.6, "higher", note))
    bench.memory("two", pair)


def first_screen(bench: Bench) -> None:
    """The app on a 2 GB capture: seconds until a flow is on the screen."""
    capture = bench.capture("mixed", 2_000_000_000)
    painted, rows = [], []
    for _ in range(bench.rounds):
        folder = bench.scratch()
        try:
            first, flow = screen.first_row(workbench("open", str(capture), "--case", str(folder / "case")), folder, environment())
        except TimeoutError as late:
            bench.report.fail("screen", "open", str(late))
            return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        painted.append(first)
        rows.append(flow)
    bench.report.times["screen"] = {"anything painted": painted, "first flow": rows}
    bench.report.add(Row("screen", "open: until the app paints", statistics.median(painted), "s"))
    bench.report.add(Row("screen", "open: first flows on screen", statistics.median(rows), "s", 1.0))


def first_run(bench: Bench) -> None:
    """Compiling every kernel into an empty cache."""
    folder = bench.scratch()
    folder.joinpath("kernels").mkdir(mode=0o700)
    env = {**environment(), "NUMBA_CACHE_DIR": str(folder / "kernels")}
    try:
        cold = run(workbench("doctor", "--warm"), folder=folder, env=env)
        again = run(workbench("doctor", "--warm"), folder=folder, env=env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if cold.code not in (0, 4):
        bench.report.fail("firstrun", "doctor --warm", cold.stderr)
        return
    bench.report.add(Row("firstrun", "doctor --warm with an empty kernel cache", cold.seconds, "s", 90.0))
    bench.report.add(Row("firstrun", "doctor --warm with a full one", again.seconds, "s"))


def help_text(bench: Bench) -> None:
    """workbench --help, as often as it takes for a steady median."""
    folder = bench.scratch()
    try:
        times = [run(workbench("--help"), folder=folder, env=environment()).seconds for _ in range(max(bench.rounds, 9))]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bench.report.times["help"] = {"workbench --help": times}
    bench.report.add(Row("help", "workbench --help", statistics.median(times) * 1000, "ms", 150.0))


def flows20m(bench: Bench) -> None:
    """A case of 20 million flows: pages, sorts, a filter, timelines, top talkers."""
    from benchmarks import reading  # loads the database engine, which no other part needs

    reading.measure(_many_flows(bench), bench.rounds, bench.report)


def _many_flows(bench: Bench) -> Path:
    from benchmarks import reading

    return bench.flows_case or reading.case_of(bench.cache, max(int(20_000_000 * bench.scale), 10_000))


def interactive(bench: Bench) -> None:
    """20 million flows: everything that views ask for, then the app itself: keys beside a slow query, Escape, memory."""
    from benchmarks import asking, keys
    from benchmarks.measure import warm
    from workbench.store.reader import CaseReader

    folder = _many_flows(bench)
    warm(folder / "case.duckdb")
    scratch = bench.scratch()
    try:
        keys.measure(folder, scratch, bench.rounds, bench.report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    with CaseReader(folder) as case:
        asking.measure(case, bench.rounds, bench.report)


def ipfix(bench: Bench) -> None:
    """IPFIX to rows: records a second on one core, and the whole import."""
    records = max(int(2_000_000 * bench.scale), 20_000)
    path = bench.cache / f"records-{records}.ipfix"
    if not path.exists():
        bench.cache.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            telemetry.generate(out, records)
    warm(path)
    rates, whole = [], []
    for _ in range(bench.rounds):
        folder = bench.scratch()
        try:
            decoded = run([sys.executable, "-m", "benchmarks.telemetry", str(path)], folder=Path.cwd(), env=environment())
            words = workbench("import", "ipfix", str(path), "--case", str(folder / "case"), "--hash", "off")
            imported = run(words, folder=folder, env=environment())
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if decoded.code or imported.code:
            bench.report.fail("ipfix", "import", _last(decoded.stderr) or _last(imported.stderr))
            return
        told = json.loads(decoded.stdout)
        rates.append(told["records"] / told["seconds"])
        whole.append(records / imported.seconds)
    bench.report.times["ipfix"] = {"records a second": rates, "import: records a second": whole}
    bench.report.add(
        Row("ipfix", "decoded and paired to rows, one core", statistics.median(rates), "/s", telemetry.BUDGET, "higher")
    )
    bench.report.add(Row("ipfix", "import, whole process, into DuckDB", statistics.median(whole), "/s"))


def naming(bench: Bench) -> None:
    """20 million flows, 850,000 claims: who both ends of every flow were, from nothing and after late claims."""
    from benchmarks import naming as named

    scratch = bench.scratch()
    try:
        named.measure(_many_flows(bench), scratch, bench.rounds, bench.report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def policy(bench: Bench) -> None:
    """The policy dry run: 1,000 rules on 10 million flows, and what is asked after every key on 1 million."""
    from benchmarks import dry_run

    dry_run.measure(bench.report, bench.rounds, bench.scale, peers=bench.peers)


def compiling(bench: Bench) -> None:
    """Policies of 1,000 and 5,000 rules as flows and as nft rules, written, read back and proven."""
    from benchmarks import compiling as compiled

    compiled.measure(bench.report, bench.scale)


def compare(bench: Bench) -> None:
    """Two unrelated policies of 5,000 rules, all packets: what is newly allowed and denied, exactly, and rules without effect."""
    from benchmarks import comparing

    comparing.measure(bench.report, bench.rounds, bench.scale, peers=bench.peers)


PARTS: dict[str, Callable[[Bench], None]] = {
    "help": help_text,
    "index2g": index2g,
    "small": small,
    "scan": scan,
    "two": two,
    "screen": first_screen,
    "firstrun": first_run,
    "flows20m": flows20m,
    "interactive": interactive,
    "ipfix": ipfix,
    "naming": naming,
    "policy": policy,
    "compile": compiling,
    "compare": compare,
    "index10g": index10g,
}
LARGE = ("index10g",)
"""parts that run only when named, or with --large"""
