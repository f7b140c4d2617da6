"""What the push screen says: a line a step with its mark, and what stands below for the step that is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from workbench.errors import NeedsReasonError, WorkbenchError
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.push_course import Course, Stage, Step

if TYPE_CHECKING:
    from workbench.workflows.push_policy import Status

#: Marks: done, worked on, to be thought of, wrong, not yet.
DONE, NOW, HEED, WRONG, LATER = "✓", "▶", "!", "✗", "·"
_STYLES: Final = {DONE: "green", NOW: "bold", HEED: "yellow", WRONG: "bold red", LATER: "dim"}
_ROWS: Final = 40
#: Letters of the services of a row.
_SERVICES: Final = 40
#: Lines of the plan that stand beside a signature; the rest is said of the step Plan.
_SHOWN: Final = 6
#: Of what a DPU takes at once, from where on it is told; and seconds that its clock may be off without a word.
_FULL, _SKEWED = 0.8, 60


_NO_TARGET: Final = """There is no target yet. Name one in {settings}:

  [targets.dpu1]
  kind = "ovs"                      # or "nft"
  address = "ssh://root@dpu1"       # or netns:NAME, or local
  bridge = "ovsbr1"
  serves = ["10.20.1.0/24"]

Then, once, in a terminal: workbench push enrol dpu1 --signers PEOPLE
docs/push.md tells who PEOPLE are. g looks again."""


@dataclass(frozen=True, slots=True)
class Line:
    """A step's mark and its words."""

    mark: str
    words: str


def steps(course: Course, cursor: Step) -> Text:
    """All steps, one under the other; the one that is looked at stands out."""
    out = Text(no_wrap=True, overflow="ellipsis")
    for number, step in enumerate(Step):
        line = line_of(course, step)
        if number:
            out.append("\n")
        out.append("▌" if step is cursor else " ", "bold")
        out.append(f"{line.mark} ", _STYLES[line.mark])
        out.append(f"{step.value:<10}", "bold" if step is cursor or line.mark == NOW else "")
        out.append(visible(line.words[:400]), "dim" if line.mark == LATER else "bold red" if line.mark == WRONG else "")
    return out


def line_of(course: Course, step: Step) -> Line:
    """The line of a step."""
    over = step is Step.KEPT and course.stage is Stage.OVER  # what became of it says more than what went wrong here
    if course.trouble is not None and course.trouble[0] is step and not over:
        return Line(WRONG, said_briefly(course.trouble[1]))
    line = _LINES[step](course)
    if course.at is step and line.mark in (LATER, NOW) and course.busy:
        return Line(NOW, course.busy)
    return line


def said_briefly(error: Exception) -> str:
    """An error in a line."""
    return error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"


def _after(course: Course, stage: Stage) -> bool:
    return course.stage.value > stage.value


def _target(course: Course) -> Line:
    if not course.target:
        return Line(NOW, "choose one")
    status = course.statuses.get(course.target)
    return Line(DONE, f"{course.target}: {stands(status)}" if status is not None else course.target)


def stands(status: Status | None) -> str:
    """What runs on a target, in a few words."""
    if status is None:
        return "being asked"
    if status.error:
        return f"{status.state}: {status.error}"
    said = status.said
    kept, waits = said["confirmed"], said["pending"]
    runs = f"runs {kept['policy']}, number {kept['sequence']}" if kept else "runs nothing of ours"
    more = f"; A PUSH WAITS, {waits['remaining']:.0f} s left" if waits else ""
    down = f"; the dataplane does not answer: {said['down']['message']}" if said["down"] else ""
    drifted = "; somebody changed its rules" if said["drift"] else ""
    return f"{runs}{more}{down}{drifted}{'' if said['watched'] else '; ITS DAEMON DOES NOT RUN'}"


def _plan(course: Course) -> Line:
    if course.plan is None:
        return Line(LATER, "what would change there")
    shown, bundle = course.plan.shown, course.bundle()
    ways = [row["change"] for row in shown["changes"]]
    many = "+" if len(ways) >= _ROWS else ""
    denied = _many(ways.count("denied"), "path")
    words = f"{denied}{many} newly denied, {ways.count('allowed')}{many} newly allowed, against {shown['against']}"
    return Line(DONE, f"{words}; number {bundle['sequence']}, {course.plan.digest[:12]}")


def _proof(course: Course) -> Line:
    if course.plan is None:
        return Line(LATER, "that the rules mean what the policy says")
    shown = course.plan.shown
    tests = course.bundle()["test_report"]["tests"]
    full = shown["request"] > _FULL * shown["most"]
    room = f"; {shown['request'] / shown['most']:.0%} of what a DPU takes: few more rules will fit" if full else ""
    words = f"{shown['lines']:,} rules, {shown['size']:,} bytes, proven in {shown['proven']}; {_many(tests, 'test')} pass"
    return Line(HEED if full else DONE, words + room)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _impact(course: Course) -> Line:
    if course.plan is None:
        return Line(LATER, "what recorded flows would have met")
    found = course.plan.shown["impact"]
    if found is None:
        return Line(HEED, "no case was asked")
    denied, allowed, unclear = found["denied"], found["allowed"], found["undetermined"]
    words = f"of {figures.count(found['flows'])} flows {figures.count(denied['flows'])} newly denied ({denied['live']:,} live)"
    words += f", {figures.count(allowed['flows'])} newly allowed"
    words += f", {figures.count(unclear['flows'])} can't be judged" if unclear["flows"] else ""
    return Line(HEED if denied["live"] or unclear["flows"] else DONE, words)


def _coverage(course: Course) -> Line:
    if course.plan is None:
        return Line(LATER, "how much of the traffic the case saw")
    found = course.plan.shown["evidence"]
    if found["safe"]:
        return Line(DONE, f"safe by what was seen: {100 * found['part']:.1f} % of {figures.count(found['packets'])} packets")
    return Line(HEED, f"not called safe: {', '.join(found['why'])}")


def _refusals(course: Course) -> Line:
    if course.plan is None:
        return Line(LATER, "what must not be cut, and whom others claim")
    shown = course.plan.shown
    forced = [*shown["cut"], *shown["contested"]]
    if forced:
        return Line(HEED, f"FORCED ({course.bundle()['test_report']['forced']}): {'; '.join(forced)}")
    if shown["unguarded"]:
        return Line(HEED, "; ".join(shown["unguarded"]))
    return Line(DONE, "none: the ways in and the telemetry stay open, no group is contested")


def _signed(course: Course) -> Line:
    if course.signers[0]:
        return Line(_mark(course.signers[0]), f"by {course.signers[0]}")
    if course.plan is None:
        return Line(LATER, "by its author")
    who, key = course.bundle()["author"], course.key()
    return Line(NOW, f"Enter signs as {who} with {key}" if key else f"Enter asks {who} for a key")


def _mark(signer: str) -> str:
    return HEED if ", unverified:" in signer else DONE


def _approved(course: Course) -> Line:
    if course.bundle().get("break_glass"):
        return Line(HEED, f"BREAK-GLASS ({course.bundle()['break_glass']}): nobody needs to; lapses by itself, to be reviewed")
    if course.signers[1]:
        return Line(_mark(course.signers[1]), f"by {course.signers[1]}")
    if course.stage is not Stage.APPROVE:
        return Line(LATER, "by somebody else, or b: break-glass")
    key = course.key()
    here = f"with {key}" if key else "with a second key here"
    return Line(NOW, f"Enter: {here}; or it is waited for, from elsewhere")


def _applied(course: Course) -> Line:
    done = course.applied
    if wrong := course.wrong.get(course.watched):
        return Line(WRONG, f"NOT AS MEANT: {wrong}")
    if done is not None:
        probed = [one for one in done.probed if one.good]
        probes = f"; {len(probed)} of {_many(len(done.probed), 'probe')} as meant" if done.probed else "; no path was probed"
        return Line(DONE, f"read back and proven in {done.proven:,} outcomes{probes}")
    if _after(course, Stage.APPLY):
        return Line(HEED, "not from here: what runs was proven by nobody here")
    if course.stage is Stage.APPLY:
        return Line(NOW, f"Enter applies it, for {figures.duration(course.window)} unless confirmed; w another window, o probes")
    return Line(LATER, "read back, proven, probed")


def _kept(course: Course) -> Line:
    if course.stage is Stage.WAITING:
        keys = "not as meant: r rolls back" if course.not_meant else "c confirms, r rolls back"
        return Line(NOW, f"{clock(course.left)} left: {keys}")
    if course.stage is not Stage.OVER:
        return Line(LATER, "confirmed, or rolled back by itself")
    outcome, why = course.outcome
    if outcome == "confirmed":
        return Line(DONE, f"CONFIRMED: {course.mine[:12]} is in force on {course.target}")
    if outcome == "rolled back":
        return Line(WRONG, f"ROLLED BACK ({why}): what ran before runs again")
    return Line(WRONG, "the target knows nothing of it any more: see what runs there")


_LINES: Final[Mapping[Step, Callable[[Course], Line]]] = {
    Step.TARGET: _target, Step.PLAN: _plan, Step.PROOF: _proof, Step.IMPACT: _impact, Step.COVERAGE: _coverage,
    Step.REFUSALS: _refusals, Step.SIGNED: _signed, Step.APPROVED: _approved, Step.APPLIED: _applied, Step.KEPT: _kept,
}  # fmt: skip


def clock(seconds: float) -> str:
    """`1:47`; a part of a second counts as one, so that 0:00 is over."""
    whole = int(-(-seconds // 1))
    return f"{whole // 60}:{whole % 60:02}"


# -- below ------------------------------------------------------------------------------------------------------------------


def detail(course: Course, step: Step) -> Text:
    """All that is to be said of a step."""
    out = Text()
    if course.trouble is not None and course.trouble[0] is step:
        _error(out, course.trouble[1], course.stage is not Stage.OVER)
    for line in _DETAILS[step](course):
        out.append(visible(line[:1000]) + "\n")
    out.rstrip()
    return out


def _error(out: Text, error: Exception, again: bool) -> None:
    """What went wrong, its code, and what to do; again: whether it can be tried once more."""
    if not isinstance(error, WorkbenchError):
        out.append(f"✗ Something went wrong: {visible(said_briefly(error)[:2000])}\n", "bold red")
        out.append("→ This is a fault in workbench; please report what you did.\n\n")
        return
    code = str(getattr(error, "code", "") or "")
    out.append(f"✗ {error.title}{f' [{visible(code)}]' if code else ''}: {visible(error.message[:2000])}\n", "bold red")
    if isinstance(error, NeedsReasonError):
        out.append("→ Mend the policy, or who claims the addresses; or say why it may be all the same: f.\n\n")
    elif error.remedy or again:
        out.append(f"→ {visible(error.remedy[:1000]) or 'Mend that; Enter tries again.'}\n\n")


def _about_target(course: Course) -> list[str]:
    if course.desk is None or not course.target:
        return []
    status = course.statuses.get(course.target)
    return [dict(course.desk.targets).get(course.target, ""), stands(status)]


def _about_plan(course: Course) -> list[str]:
    plan = course.plan
    if plan is None:
        return []
    shown, bundle = plan.shown, course.bundle()
    lines = [_row(row) for row in shown["changes"]] or ["  Nothing is judged otherwise than by what runs now."]
    lines += ["  and more rows, or more"] if len(shown["changes"]) >= _ROWS else []
    skew = shown["skew"]
    return [
        f"{bundle['policy']['name']} against {shown['against']}, by {bundle['author']}.",
        *lines,
        *([f"Its clock is {skew:+,} s off this machine's: what ends by time ends by its clock."] if abs(skew) > _SKEWED else []),
        *(f"A rule ends at {_when(until)}." for until in shown["stages"] if until is not None),
        *(f"Note: {note}" for note in shown["notes"]),
        f"To be applied until {_when(bundle['expiry'])}. Digest {plan.digest}",
        f"Kept in {course.path}",
    ]


def _row(row: Mapping[str, Any]) -> str:
    """In one line where that is possible: a set of addresses may have hundreds of prefixes."""
    service = row["service"] if len(row["service"]) <= _SERVICES else row["service"][:_SERVICES] + "…"
    return f"  {row['change']:<8} {_few(row['from'])} → {_few(row['to'])} : {service}"


def _few(prefixes: list[str]) -> str:
    return ", ".join(prefixes[:2]) + (f" and {len(prefixes) - 2} more" if len(prefixes) > 2 else "")


def _about_proof(course: Course) -> list[str]:
    if course.plan is None:
        return []
    shown, tests = course.plan.shown, course.bundle()["test_report"]["tests"]
    return [
        f"The rules were read back by our own parser and proven to mean the policy in {shown['proven']} of connection tracking.",
        f"{shown['lines']:,} rules, {shown['size']:,} bytes. {_many(tests, 'test')} of the policy pass.",
        *(f"Example newly {word}: {one}" for word, one in shown["examples"].items()),
    ]


def _about_impact(course: Course) -> list[str]:
    found = course.plan.shown["impact"] if course.plan is not None else None
    if found is None:
        return []
    denied = found["denied"]
    lines = [
        f"{denied['flows']:,} recorded flows ({figures.size(denied['bytes'])}) would newly be denied.",
        f"{denied['live']:,} of them are live; {denied['surviving']:,} of those go on.",
        *(
            f"  {row['kind']:<8} {row['from']} → {row['to']} {row['service']}: {row['flows']:,} flows ({row['rule']})"
            for row in found["pairs"]
        ),
    ]
    return [*lines, "Nothing that was recorded would be judged otherwise."] if not found["pairs"] else lines


def _about_coverage(course: Course) -> list[str]:
    if course.plan is None:
        return []
    found = course.plan.shown["evidence"]
    lines = [f"{found['packets']:,} packets, {found['dropped']:,} dropped; {100 * found['part']:.1f} % are in flows."]
    if found["safe"]:
        return [*lines, "That is enough to call it safe by what was seen; what was not recorded nobody knows."]
    return [*lines, "Not called safe:", *(f"  {why}" for why in found["why"])]


def _about_refusals(course: Course) -> list[str]:
    if course.plan is None:
        return []
    shown = course.plan.shown
    return [
        *(f"FORCED: cuts {line}" for line in shown["cut"]),
        *(f"FORCED: {line}" for line in shown["contested"]),
        *(f"Not looked at: {line}" for line in shown["unguarded"]),
        "Looked at: ssh to the DPU from here, its telemetry, groups with addresses that others claim as well.",
    ]


def _about_signed(course: Course) -> list[str]:
    if course.plan is None:
        return []
    lines = [f"{line}." for line in course.review.get("doubts", [])]
    if course.signers[0]:
        return [*lines, f"By {course.signers[0]}.", *([course.version] if course.version else [])]
    return [
        *_unread(course),
        "What is signed, once it was compiled and proven again:",
        *_about_plan(course)[:_SHOWN],
        f"Or in a terminal: workbench push sign {course.path}",
    ]


def _unread(course: Course) -> list[str]:
    return [f"Its file can't be read: {course.unread}"] if course.unread else []


def _about_approved(course: Course) -> list[str]:
    if course.plan is None or course.stage is Stage.SIGN:
        return []
    if course.bundle()["break_glass"]:
        return [
            f"One signature does. The rules lapse at {_when(course.bundle()['lapses'])}; somebody else reviews it afterwards."
        ]
    if course.signers[1]:
        return [f"Signed by {course.signers[0]}, approved by {course.signers[1]}."]
    return [
        *_unread(course),
        "Somebody else, with a key and a name of their own, approves it: here with Enter, or elsewhere:",
        f"  workbench push approve {course.path}",
        *(f"  or of the copy: workbench push approve {copy}" for copy in course.copies),
        "This screen notices. e writes a copy for them; b does without them (break-glass), for an hour at most.",
    ]


def _about_applied(course: Course) -> list[str]:
    done = course.applied
    lines = [f"Probe: {one}, should {'' if one.allowed else 'not '}get through" for one in course.probes]
    if done is None:
        return lines
    told = {True: "as it should be", False: "NOT as it should be", None: "says nothing"}
    return [
        f"{done.target} runs {done.digest[:16]}; what it read back was proven to mean the policy in {done.proven:,} outcomes.",
        *(f"{one.what}: {one.found}, {told[one.good]} ({'allowed' if one.allowed else 'denied'})" for one in done.probed),
    ]


def waiting(course: Course) -> str:
    """Whose policy waits, as its bundle says."""
    there, bundle = course.waits, course.bundle()
    if there is not None:
        return f"{there.policy or 'a policy'} by {there.author or 'somebody'}"
    return f"{bundle['policy']['name']} by {bundle['author']}" if bundle else "a policy by somebody"


def _about_kept(course: Course) -> list[str]:
    lines = [f"The DPU can't be asked right now: {course.unreached}. It keeps its own time."] if course.unreached else []
    if course.stage is Stage.WAITING:
        if course.not_meant:
            lines += [f"NOT AS MEANT: {course.not_meant}", "So it is not confirmed from here."]
        if course.waits is not None:
            lines += [f"What waits: {waiting(course)}, {course.mine[:16]}."]
        return [*lines, "Leave the screen, or die: it waits on, and rolls back by itself when the time is over."]
    if course.stage is Stage.OVER and course.outcome[0] == "confirmed":
        lines += [
            f"In force on {course.target}. To take it back later, in a terminal:",
            f"  workbench push rollback {course.target} --confirmed {course.mine[:12]}",
        ]
    elif course.stage is Stage.OVER:
        lines += [f"{course.mine[:12]} does not run on {course.target}. g plans again, against what runs now."]
    return lines


_DETAILS: Final[Mapping[Step, Callable[[Course], list[str]]]] = {
    Step.TARGET: _about_target, Step.PLAN: _about_plan, Step.PROOF: _about_proof, Step.IMPACT: _about_impact,
    Step.COVERAGE: _about_coverage, Step.REFUSALS: _about_refusals, Step.SIGNED: _about_signed, Step.APPROVED: _about_approved,
    Step.APPLIED: _about_applied, Step.KEPT: _about_kept,
}  # fmt: skip


def no_target(settings: str) -> Text:
    """What to do where the settings name no target."""
    return Text(_NO_TARGET.format(settings=visible(settings)))


def _when(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
