"""`workbench push`: policies to DPUs, signed, proven, confirmed or rolled back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat, choose_format
from workbench.cli.messages import tell
from workbench.cli.push_asking import asked
from workbench.cli.push_telling import say, show_reconciled, show_status
from workbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from workbench.push.plans import Plan
    from workbench.workflows.push_policy import Status

app = typer.Typer(help="Plan, sign, approve, apply and confirm the rules of DPUs.", no_args_is_help=True, rich_markup_mode=None)

TargetName = Annotated[
    str, typer.Argument(metavar="TARGET", help="A [targets.NAME] of the settings.", show_default=False, callback=options.utf8)
]
TargetNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TARGET]...", help="Some of the settings' targets. Default: all.", show_default=False),
]
PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="What `push plan` wrote.", show_default=False)]
Key = Annotated[
    str,
    typer.Option("--key", metavar="K", help="SSH key, or the public half of one in an agent. Default: audit.signing_key."),
]
Digest = Annotated[
    str,
    typer.Option("--digest", metavar="D", help="Which push is meant. Default: the one applied from here.", show_default=False),
]
Signers = Annotated[
    Path | None,
    typer.Option("--signers", metavar="FILE", help="Allowed signers. Default: audit.allowed_signers.", show_default=False),
]
EnrolSigners = Annotated[
    Path | None,
    typer.Option("--signers", metavar="FILE", help="Whose signatures it takes, and what for. Needed.", show_default=False),
]

#: Seconds that a DPU's clock may be off without a word.
_SKEWED = 60

PlanDigest = Annotated[
    str,
    typer.Option("--digest", metavar="D", help="Only the plan of this digest, and without asking.", show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


@app.command("enrol")
def enrol(
    target: TargetName,
    signers: EnrolSigners = None,
    login_key: Annotated[
        Path | None,
        typer.Option("--login-key", metavar="FILE.pub", help="A key that may do nothing there but this.", show_default=False),
    ] = None,
    longest_window: Annotated[
        str, typer.Option("--longest-window", metavar="T", help="How long a push may wait for its confirmation there.")
    ] = "15m",
    longest_break_glass: Annotated[
        str, typer.Option("--longest-break-glass", metavar="T", help="How long rules with one signature last there.")
    ] = "1h",
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Install the resident on a DPU, or renew it.

    What it knows of earlier pushes stays. From then on it takes only what these signers have signed.
    """
    from workbench.workflows.push_enrol import enrol as do
    from workbench.workflows.push_plan import parse_seconds

    window, glass = parse_seconds(longest_window, "--longest-window"), parse_seconds(longest_break_glass, "--longest-break-glass")
    done = do(target, signers, login_key, window, glass)
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps(asdict(done), indent=1) + "\n")
        return
    on = f", bridge {done.bridge}" if done.bridge else ""
    say(f"{done.target} at {done.address} is enrolled{on}; it takes the signatures of:")
    say("".join(f"  {name}\n" for name in done.signers).rstrip("\n"))
    tell(f'to let a key do nothing else there: restrict,command="{done.command}" KEY')
    if done.tells:
        tell(f"packets of rules with `log` are told to {', '.join(done.tells)}; listen there: workbench attach ipfix://:PORT")
    if done.daemon == "plain":
        tell("there is no systemd: after a reboot somebody must start the daemon, or enrol it again")


@app.command("plan")
def plan(
    policy: Annotated[Path, typer.Argument(metavar="POLICY", help="A YAML file, or a folder of them.", show_default=False)],
    target: Annotated[str, typer.Option("--target", metavar="T", help="A [targets.NAME] of the settings.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PLAN", help="Where to write it.", show_default=False)],
    case: Annotated[
        Path | None,
        typer.Option("--case", metavar="DIR", help="Who is in the groups, and what would be stopped.", show_default=False),
    ] = None,
    author: Annotated[
        str, typer.Option("--author", metavar="NAME", help="Who will sign. Default: audit.principal, or user@host.")
    ] = "",
    window: Annotated[str, typer.Option("--window", metavar="T", help="How long it may wait for its confirmation.")] = "10m",
    valid: Annotated[str, typer.Option("--valid", metavar="T", help="Until when it may be applied.")] = "24h",
    force: Annotated[
        str,
        typer.Option(
            "--force",
            metavar="REASON",
            help="Why paths that must stay open may be cut, or contested addresses left out.",
            show_default=False,
        ),
    ] = "",
    break_glass: Annotated[
        str, typer.Option("--break-glass", metavar="REASON", help="Why one signature must do.", show_default=False)
    ] = "",
    lasting: Annotated[str, typer.Option("--lasting", metavar="T", help="With --break-glass: how long the rules last.")] = "1h",
    lease: Annotated[
        str,
        typer.Option(
            "--lease", metavar="T", help="Groups follow their workloads by `push reconcile`, within this.", show_default=False
        ),
    ] = "",
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Say what a push would change, prove its rules, and write a plan to be signed.

    Nothing is changed on the DPU. Refused are rules that fail the policy's tests, or would cut the way in or the telemetry.
    """
    from workbench.push.plans import write_plan
    from workbench.workflows.push_plan import Wish, make_plan, parse_seconds

    spans = {
        word: parse_seconds(text, f"--{word}") for word, text in (("window", window), ("valid", valid), ("lasting", lasting))
    }
    spans |= {"lease": parse_seconds(lease, "--lease")} if lease else {}
    wish = Wish(policy, target, case, author, force=force, break_glass=break_glass, text="", **spans)
    made = make_plan(wish)
    write_plan(output, made)
    if form is SummaryFormat.JSON:
        bundle = made.content()
        said = {**made.shown, "digest": made.digest, "target": target, "author": bundle["author"], "sequence": bundle["sequence"]}
        sys.stdout.write(json.dumps(said, indent=1) + "\n")
        return
    _show_plan(made)


def _show_plan(made: Plan) -> None:
    bundle, shown = made.content(), made.shown
    say(f"plan {made.digest[:16]} for {bundle['target']}: {bundle['policy']['name']} against {shown['against']}")
    say(
        f"{shown['lines']} rules, {shown['size']} bytes, proven in {shown['proven']}; {bundle['test_report']['tests']} tests pass"
    )
    say(f"newly allowed: {int(shown['allowed']):,} packets; newly denied: {int(shown['denied']):,} packets")
    for row in shown["changes"]:
        say(f"  {row['change']:<8} {', '.join(row['from'])} -> {', '.join(row['to'])} : {row['service']}")
    _show_impact(shown["impact"])
    for line in shown["notes"]:
        tell(line)
    for line in shown["cut"]:
        tell(f"FORCED ({bundle['test_report']['forced']}): cuts {line}")
    for line in shown["contested"]:
        tell(f"FORCED ({bundle['test_report']['forced']}): {line}")
    if shown["request"] > 0.8 * shown["most"]:
        full = f"{shown['request'] / 1e6:.1f} MB, {shown['request'] / shown['most']:.0%} of what a DPU takes at once"
        tell(f"the rules make a request of {full}: few more will fit")
    if abs(shown["skew"]) > _SKEWED:
        tell(f"its clock is {shown['skew']:+,} s off this machine's: what ends by time ends by its clock")
    for line in [*shown["unguarded"], *shown["evidence"]["why"]]:
        tell(line)
    if shown["evidence"]["safe"]:
        tell("the evidence is enough to call it safe by what was seen")
    if bundle["break_glass"]:
        tell(f"BREAK-GLASS ({bundle['break_glass']}): one signature, and the rules lapse by themselves; to be reviewed")
    tell(f"next: workbench push sign PLAN, as {bundle['author']}")


def _show_impact(impact: dict[str, Any] | None) -> None:
    """What recorded flows would have met, with members as of the push."""
    if impact is None:
        return
    denied, allowed, unclear = impact["denied"], impact["allowed"], impact["undetermined"]
    say(
        f"of {impact['flows']:,} recorded flows {denied['flows']:,} would newly be denied, {allowed['flows']:,} newly allowed,"
        f" {unclear['flows']:,} can't be judged; {denied['live']:,} denied ones are live, {denied['surviving']:,} of them go on"
    )
    for row in impact["pairs"]:
        say(f"  {row['kind']}: {row['from']} -> {row['to']} {row['service']}: {row['flows']:,} flows ({row['rule']})")


@app.command("sign")
def sign(plan: PlanFile, key: Key = "", digest: PlanDigest = "", yes: Yes = False) -> None:
    """Sign a plan as its author (ssh-keygen; keys in hardware and agents do).

    It is compiled and proven once more first, and what it changes is printed: a plan that somebody has changed is not signed.
    """
    from workbench.workflows.push_sign import sign_plan

    say(f"{sign_plan(plan, key, asked(digest, yes)).digest} signed")


@app.command("approve")
def approve(plan: PlanFile, key: Key = "", digest: PlanDigest = "", yes: Yes = False) -> None:
    """Approve a plan that somebody else has signed, with another key, once what it changes was printed."""
    from workbench.workflows.push_sign import approve_plan

    say(f"{approve_plan(plan, key, asked(digest, yes)).digest} approved")


@app.command("verify")
def verify(plan: PlanFile, signers: Signers = None, form: options.Summary = SummaryFormat.TABLE) -> int:
    """Tell whether a plan is signed and approved as it must be, and its rules are its policy's.

    Exit code 1 where not.
    """
    from workbench.workflows.push_sign import verify_plan

    found = verify_plan(plan, signers)
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps([{"what": w, "holds": h, "why": y} for w, h, y in found], indent=1) + "\n")
    else:
        for what, holds, why in found:
            say(f"{'good' if holds else 'WRONG':<6}{what}: {why}")
    return int(ExitCode.OK if all(holds for _, holds, _ in found) else ExitCode.NO)


@app.command("apply")
def apply(
    plan: PlanFile,
    window: Annotated[str, typer.Option("--window", metavar="T", help="Roll back unless confirmed within this.")] = "120s",
    allowed: Annotated[
        list[str] | None,
        typer.Option("--allowed", metavar="'HOST IP:PORT'", help="From HOST this must connect, or it is rolled back."),
    ] = None,
    denied: Annotated[
        list[str] | None,
        typer.Option("--denied", metavar="'HOST IP:PORT'", help="From HOST this must not connect, or it is rolled back."),
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Send a signed plan to its DPU, read back what then runs and prove it.

    It waits there for `push confirm`; without that, or if this machine dies, the old rules are back when the window is over.
    """
    from workbench.push.probes import parse
    from workbench.workflows.push_plan import parse_seconds
    from workbench.workflows.push_policy import apply_plan

    wanted = [parse(text, True) for text in allowed or ()] + [parse(text, False) for text in denied or ()]
    done = apply_plan(plan, parse_seconds(window, "--window"), wanted)
    if form is SummaryFormat.JSON:
        said = {name: value for name, value in asdict(done).items() if name != "ends"}  # a clock of this process only
        sys.stdout.write(json.dumps(said | {"remaining": round(done.remaining, 1)}, indent=1) + "\n")
        return
    say(f"{done.digest} runs on {done.target}, read back and proven in {done.proven} outcomes")
    for one in done.probed:
        good = "says nothing" if one.good is None else "as it should be"
        say(f"probe {one.what}: {one.found}, {good} ({'allowed' if one.allowed else 'denied'})")
    if not done.probed:
        tell("no path was probed: --allowed and --denied name hosts that may try")
    tell(f"it is rolled back in {done.remaining:.0f} s unless: workbench push confirm {done.target}")


@app.command("confirm")
def confirm(target: TargetName, key: Key = "", digest: Digest = "") -> None:
    """Keep the rules that were applied from here and wait on a DPU. Another push that waits there is not confirmed."""
    from workbench.workflows.push_policy import confirm as do

    say(f"{do(target, key, digest)} is confirmed on {target}")


@app.command("rollback")
def rollback(
    target: TargetName,
    key: Key = "",
    digest: Digest = "",
    confirmed: Annotated[
        str,
        typer.Option("--confirmed", metavar="D", help="A push that was confirmed is meant, of this digest.", show_default=False),
    ] = "",
) -> None:
    """Put back what ran before the push that waits, or with --confirmed and a signature before one that was confirmed."""
    from workbench.workflows.push_policy import roll_back

    mark, kept = roll_back(target, key, digest, confirmed)
    say(f"{mark} is gone from {target}{', where it had been confirmed' if kept else ''}: what ran before it runs again")


@app.command("review")
def review(
    target: TargetName,
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="As push status shows it.", show_default=False)],
    key: Key = "",
) -> None:
    """Say that a break-glass push was reviewed, as somebody else than who signed it. Until then push status tells it."""
    from workbench.workflows.push_policy import review as do

    say(f"{do(target, digest, key)} is reviewed on {target}")


@app.command("status")
def status(
    targets: TargetNames = None,
    form: options.Summary = SummaryFormat.TABLE,
    case: Annotated[
        Path | None, typer.Option("--case", metavar="DIR", help="Keep verdicts on its flows, and what is counted, in this case.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="The kernel's log of an nft target, with ISO times; for --case.")
    ] = None,
    sensor: Annotated[
        list[str] | None, typer.Option("--sensor", metavar="NAME", help="Whose IPFIX is the target's; for --case.")
    ] = None,
) -> int:
    """Tell what runs on targets, what waits, what never hit. Exit code 4 where one could not be asked."""
    from workbench.workflows.push_policy import status as do

    if (log or sensor) and case is None:
        raise UsageError("--log and --sensor are for --case", "Name the case that verdicts are kept in.")
    if (log or sensor) and len(targets or ()) != 1:
        raise UsageError("--log and --sensor are of one target", "Name it.")
    found = do(targets or ())
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    else:
        for one in found:
            show_status(one)
    if case is not None:
        _bring(case, found, log, sensor or [])
    return int(ExitCode.EXTERNAL if any(one.error for one in found) else ExitCode.OK)


def _bring(case: Path, found: list[Status], log: Path | None, sensors: list[str]) -> None:
    from workbench.workflows.decided import bring

    for one in found:
        if one.error:
            continue
        came = bring(case, one, log, sensors)
        if came.waits:
            tell(f"{one.target}: nothing is kept of it: a push waits for its confirmation")
            continue
        words = f"{came.kept.verdicts:,} new verdicts on flows, {came.kept.counters:,} counters kept"
        if log is not None:
            words += f"; of its log {came.lines:,} lines are of rules, {came.kept.unmatched:,} of them of no flow of the case"
            words += f"; {came.unread:,} other lines"
        tell(f"{one.target}: {words}")


@app.command("drift")
def drift(
    targets: TargetNames = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch",
            metavar="SECONDS",
            min=1.0,
            help="Ask again and again, and print a line when anything changes; until Ctrl-C.",
        ),
    ] = None,
) -> int:
    """Compare what runs with what was applied last, and name the rules that somebody changed. Exit code 1 where there are any."""
    if watch is not None:
        from workbench.cli.push_watching import watched

        return watched(targets or [], watch, form, output)
    chosen = choose_format(form, output)
    import pyarrow as pa

    from workbench.cli.output import write_rows
    from workbench.workflows.push_policy import drift as do

    found, silent = do(targets or ())
    schema = pa.schema(
        [
            (name, pa.timestamp("s", "UTC") if name == "since" else pa.string())
            for name in ("target", "rule", "change", "line", "since")
        ]
    )
    write_rows(pa.Table.from_pylist([asdict(one) for one in found], schema).to_reader(), chosen, output)
    for one in silent:
        tell(f"{one.target}: {one.error or one.said['down']['message']}")
    if silent:
        return int(ExitCode.EXTERNAL)
    return int(ExitCode.NO if found else ExitCode.OK)


@app.command("reconcile")
def reconcile(
    targets: TargetNames = None,
    case: Annotated[
        Path | None, typer.Option("--case", metavar="DIR", help="Who is in the groups now.", show_default=False)
    ] = None,
    key: Key = "",
    force: Annotated[
        str,
        typer.Option(
            "--force", metavar="REASON", help="Why contested addresses may be left out, or a way in be cut.", show_default=False
        ),
    ] = "",
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Send the members that groups have now to targets, and renew their lease.

    Only for rules planned with --lease. The rules that result are proven before they are sent and when they are read back. A
    target that can't be asked, or whose members are refused, keeps what it has; the others get theirs.
    """
    from workbench.workflows.push_reconcile import reconcile as do

    found = do(targets or (), case, key, force)
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps([one.as_json() for one in found], indent=1) + "\n")
    else:
        for one in found:
            show_reconciled(one)
    wrong = [one.error for one in found if one.error is not None]
    for error in wrong[1:]:
        tell(error.message)
    if wrong:
        raise wrong[0]
