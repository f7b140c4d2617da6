"""From the policy in the editor to rules in force: a target, what would change, signatures, and a countdown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Digits, OptionList, Static
from textual.widgets.option_list import Option

from workbench.errors import NeedsReasonError, UsageError, WorkbenchError
from workbench.records.visible import visible
from workbench.tui import push_words
from workbench.tui.push_course import Course, Stage, Step
from workbench.tui.push_work import PushWork
from workbench.tui.screens.dialog import ConfirmDialog, PromptDialog
from workbench.tui.widgets.keys import KeyLine
from workbench.tui.widgets.rule import TitleRule

#: Seconds: how often the clock is painted, and files and the DPU are looked at, in ticks of it.
_TICK: Final = 0.5
_FILES, _DPU = 2, 8
_PLANNED: Final = (Stage.SIGN, Stage.APPROVE, Stage.APPLY)


class PushScreen(Screen[None]):
    """Steps one under the other; below, all that is to be said of the one under the cursor, or the countdown."""

    AUTO_FOCUS: ClassVar[str] = ""  # Enter is the next step's, unless targets are chosen from
    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    PushScreen #push-steps { height: auto; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    PushScreen #push-count { height: auto; display: none; padding: 0 1; }
    PushScreen #push-digits { width: auto; color: $warning; text-style: bold; }
    PushScreen #push-detail { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    PushScreen #push-targets { height: 1fr; display: none; border: none; padding: 0; background: $background; }
    PushScreen.-waiting #push-count { display: block; }
    PushScreen.-choosing #push-targets { display: block; }
    PushScreen.-choosing #push-detail { height: auto; max-height: 6; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "confirm", "CONFIRM", id="push.confirm", tooltip="Keep the rules that wait on the DPU", priority=True),
        Binding("r", "roll_back", "ROLL BACK", id="push.rollback", tooltip="Put back what ran before, at once", priority=True),
        Binding("enter", "next", "Go on", id="push.next", tooltip="The next step: sign, approve, apply"),
        Binding("f", "force", "Force", id="push.force", tooltip="Plan it although something is refused, with a reason"),
        Binding("a", "key", "Another key", id="push.key", tooltip="The key to sign, approve or confirm with"),
        Binding(
            "b", "break_glass", "Break-glass", id="push.break_glass", tooltip="With one signature, for a while, with a reason"
        ),
        Binding("e", "export", "Export", id="push.export", tooltip="A copy of the plan for an approver elsewhere"),
        Binding("w", "window", "Window", id="push.window", tooltip="How long it waits for its confirmation"),
        Binding("o", "probe", "Probe", id="push.probe", tooltip="A connection that must, or must not, get through once applied"),
        Binding("g", "again", "Plan again", id="push.again", tooltip="Plan again, against what runs now"),
        Binding("t", "targets", "Targets", id="push.targets", tooltip="Choose another target"),
        Binding("down,j", "step(1)", "Next step", id="push.down", tooltip="What is said of the next step", show=False),
        Binding("up,k", "step(-1)", "Step before", id="push.up", tooltip="What is said of the step before", show=False),
        Binding(
            "pagedown,space", "scroll(8)", "Further down", id="push.page_down", tooltip="Further down in what is said", show=False
        ),
        Binding("pageup", "scroll(-8)", "Further up", id="push.page_up", tooltip="Further up in what is said", show=False),
        Binding("escape", "back", "Back", id="push.back", tooltip="Back to the policy; a push that waits waits on"),
    ]

    def __init__(self, work: PushWork) -> None:
        super().__init__()
        self.work = work
        self._cursor: Step | None = None
        self._ticks = 0
        self._listed: tuple[str, ...] = ()

    @property
    def course(self) -> Course:
        """What is shown."""
        return self.work.course

    def compose(self) -> ComposeResult:
        """Steps, then what is said of one, or the clock, or the targets."""
        yield TitleRule(id="push-title")
        yield Static("", id="push-steps", markup=False)
        yield TitleRule(id="push-about")
        with Vertical(id="push-count"):
            yield Digits("", id="push-digits")
            yield Static("", id="push-choice", markup=False)
        with VerticalScroll(id="push-detail", can_focus=False):
            yield Static("", id="push-words", markup=False)
        yield OptionList(id="push-targets")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show where it is; ask what is not known."""
        self.work.seen = self.show
        self.set_interval(_TICK, self._tick)
        if self.course.desk is None or self.course.stage is Stage.TARGET:
            self.work.open()
        elif self.course.stage is Stage.WAITING:
            self.work.look()
        self.show()

    def on_unmount(self) -> None:
        """What is done goes on without being seen."""
        self.work.seen = lambda: None

    # -- showing ----------------------------------------------------------------------------------

    def show(self) -> None:
        """All of it anew."""
        if not self.is_attached:
            return
        course = self.course
        cursor = self._cursor or course.at
        choosing = course.stage is Stage.TARGET
        self.set_class(choosing and course.desk is not None and bool(course.desk.targets), "-choosing")
        self.set_class(course.stage is Stage.WAITING, "-waiting")
        self.query_one("#push-title", TitleRule).title = self._title()
        self._show_keys()
        self.query_one("#push-steps", Static).update(push_words.steps(course, cursor))
        self.query_one("#push-about", TitleRule).title = "targets of the settings" if choosing else cursor.value.lower()
        self.query_one("#push-words", Static).update(self._words(cursor))
        self._show_clock()
        self._show_targets(choosing)
        self.refresh_bindings()

    def _title(self) -> str:
        course = self.course
        if course.waits is not None and course.stage in (Stage.WAITING, Stage.OVER):  # it may be another policy, of somebody else
            return visible(f"{push_words.waiting(course)} on {course.target}, not applied from here")
        return visible(f"push {course.policy}{f' to {course.target}' if course.target else ''}")

    def _show_keys(self) -> None:
        """Keys that do nothing here are not offered."""
        course = self.course
        idle: set[str] = set()
        if course.stage is Stage.WAITING:
            idle |= {"push.next"}
            idle |= {"push.confirm", "push.key"} if course.not_meant or not course.left else set()
            idle |= set() if course.left else {"push.rollback"}
        self.query_one(KeyLine).idle = frozenset(idle)

    def _words(self, cursor: Step) -> Text:
        course = self.course
        words = push_words.detail(course, cursor)
        if course.stage is Stage.TARGET and course.desk is not None and not course.desk.targets:
            return push_words.no_target(course.desk.settings)
        return words

    def _show_clock(self) -> None:
        course = self.course
        if course.stage is not Stage.WAITING:
            return
        self.query_one("#push-digits", Digits).update(push_words.clock(course.left))
        choice = Text()
        whose = "these rules stay" if course.waits is None else visible(f"{push_words.waiting(course)} stays"[:60])
        ways = [("c", f"confirm: {whose}"), ("r", "roll back: what ran before, at once")]
        for key, what in ways[1:] if course.not_meant else ways:
            choice.append(f" {key} ", "reverse bold").append(f" {what}   ")
        if not course.left:
            choice = Text("The time is over: the DPU rolls back.", "bold")
        elif course.busy:
            choice = Text(course.busy, "bold")
        self.query_one("#push-choice", Static).update(choice)
        self._show_keys()

    def _show_targets(self, choosing: bool) -> None:
        course, options = self.course, self.query_one(OptionList)
        options.disabled = not choosing
        if not choosing or course.desk is None:
            return
        lines = tuple(
            f"{name:<16} {push_words.stands(course.statuses.get(name))}  {about}" for name, about in course.desk.targets
        )
        if lines == self._listed:
            return
        at = options.highlighted
        self._listed = lines
        options.clear_options()
        options.add_options([Option(Text(visible(line), no_wrap=True, overflow="ellipsis")) for line in lines])
        names = [name for name, _ in course.desk.targets]
        options.highlighted = (names.index(course.target) if course.target in names else 0) if at is None and names else at
        if names:
            options.focus()

    def _tick(self) -> None:
        course = self.course
        self._ticks += 1
        if course.stage is Stage.WAITING:
            self._show_clock()
            if self._cursor is None or self._cursor is Step.KEPT:
                self.query_one("#push-steps", Static).update(push_words.steps(course, self._cursor or course.at))
            if self._ticks % _DPU == 0 or (not course.left and self._ticks % _FILES == 0):
                self.work.look()
        elif self._ticks % _FILES == 0:
            self.work.watch()

    # -- keys -------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  Textual's signature
        """Keys that do something at this step."""
        course = self.course
        trouble = course.trouble[1] if course.trouble is not None else None
        allowed = {
            "confirm": course.stage is Stage.WAITING,
            "roll_back": course.stage is Stage.WAITING,
            "force": isinstance(trouble, NeedsReasonError) and bool(course.target),
            "key": course.stage in (Stage.SIGN, Stage.APPROVE, Stage.WAITING),
            "break_glass": course.stage in (Stage.SIGN, Stage.APPROVE),
            "export": course.stage in _PLANNED,
            "window": course.stage in _PLANNED,
            "probe": course.stage in _PLANNED,
            "again": course.stage is not Stage.WAITING,
            "targets": course.stage not in (Stage.TARGET, Stage.WAITING),
        }
        return allowed.get(action, True)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Plan for that target."""
        event.stop()
        if self.course.desk is not None and not self.course.busy:
            self._cursor = None
            self.set_focus(None)
            self.work.choose(self.course.desk.targets[event.option_index][0])

    def action_next(self) -> None:
        """What comes next."""
        course = self.course
        self._cursor = None
        if course.busy:
            self._tell(f"Not yet: {course.busy}.")
        elif course.stage is Stage.PLAN:
            self.work.plan()
        elif course.stage in (Stage.SIGN, Stage.APPROVE):
            self._with_key(course.key())
        elif course.stage is Stage.APPLY:
            self.work.apply()
        elif course.stage is Stage.OVER:
            self.action_back()
        else:
            self.show()

    def _with_key(self, key: str) -> None:
        does = {Stage.SIGN: self.work.sign, Stage.APPROVE: self.work.approve, Stage.WAITING: self._confirm}
        if not key:
            self.action_key()
        elif self.course.stage in does:
            does[self.course.stage](key)

    def _confirm(self, key: str) -> None:
        course, mine = self.course, self.course.mine
        if course.not_meant:
            self._tell_not_meant()
        else:
            question = f"{push_words.waiting(course)} ({mine[:16]}) stays on {course.target}."
            self._if_meant("Confirm what was not applied from here?", question, lambda: self.work.confirm(key))

    def _tell_not_meant(self) -> None:
        """Why it can't be confirmed, where it does not go away."""
        self._cursor = Step.KEPT
        self._tell("It was found not to be what was meant: it is not confirmed from here. r rolls it back.")
        self.show()

    def _if_meant(self, title: str, question: str, do: Callable[[], object]) -> None:
        """Ask once more about what was not applied, and proven, from here: it may be somebody else's."""
        course, mine = self.course, self.course.mine
        if course.ours:
            do()
            return

        def answered(yes: bool | None) -> None:
            if yes and course is self.course and course.stage is Stage.WAITING and course.mine == mine:
                do()

        question = visible(f"{question} Nobody here has proven what runs there.")
        self.app.push_screen(ConfirmDialog(title, question, "yes", "no"), answered)

    def action_key(self) -> None:
        """Ask for the key, then go on with it."""
        if self.course.not_meant and self.course.stage is Stage.WAITING:
            self._tell_not_meant()
            return
        stage = self.course.stage
        what = {
            Stage.SIGN: f"Sign as {self.course.bundle().get('author', '')}",
            Stage.APPROVE: "Approve as somebody else than its author",
            Stage.WAITING: "Confirm",
        }
        hint = "path of an SSH key, or of the .pub of one in an agent; it is remembered until you quit. Esc closes"

        def named(key: str | None) -> None:
            if key and self.course.stage is stage:
                self._with_key(str(Path(key).expanduser()))

        self.app.push_screen(PromptDialog(visible(f"{what[stage]} with which key?"), hint, _no_key), named)

    def action_force(self) -> None:
        """Why it may be, then plan once more."""
        hint = "the reason is signed with the plan and stands in the audit log"
        self._ask_reason("Plan it all the same: why?", hint, self.work.plan)

    def action_break_glass(self) -> None:
        """Why one signature must do, then plan once more."""
        hint = "the rules lapse by themselves, and somebody else reviews it; the reason is signed with the plan"
        self._ask_reason("Break-glass: why must one signature do?", hint, self._break_glass)

    def _break_glass(self, why: str) -> None:
        self.course.break_glass = why
        self.work.plan()

    def _ask_reason(self, title: str, hint: str, then: Callable[[str], None]) -> None:
        def said(why: str | None) -> None:
            if why:
                then(why)

        self.app.push_screen(PromptDialog(title, hint, lambda _: ""), said)

    def action_export(self) -> None:
        """Where to."""
        hint = "a file, or a folder; what is approved there is noticed here. Esc closes"
        self.app.push_screen(PromptDialog("A copy of the plan to", hint, lambda _: ""), self._export)

    def _export(self, path: str | None) -> None:
        if path:
            self.work.export(Path(path))

    def action_window(self) -> None:
        """How long."""
        hint = f"such as 90s or 5m; at most {self.course.bundle()['window']} s"
        self.app.push_screen(PromptDialog("How long may it wait for its confirmation?", hint, _no_time), self._window)

    def _window(self, text: str | None) -> None:
        from workbench.workflows.push_plan import parse_seconds

        if text:
            self.course.window = parse_seconds(text, "window")
            self.show()

    def action_probe(self) -> None:
        """Which."""
        hint = "allow or deny, a host, where to: allow ssh://app1 10.20.1.10:22"
        self.app.push_screen(PromptDialog("Try once it runs", hint, _no_probe), self._probe)

    def _probe(self, text: str | None) -> None:
        from workbench.push.probes import parse

        if text:
            word, _, rest = text.partition(" ")
            self.course.probes = (*self.course.probes, parse(rest, word == "allow"))
            self._cursor = Step.APPLIED
            self.show()

    def action_again(self) -> None:
        """Plan again, or look for targets again."""
        self._cursor = None
        if self.course.stage is Stage.TARGET:
            self.work.open()
        else:
            self.work.choose(self.course.target)

    def action_targets(self) -> None:
        """Choose another one."""
        if not self.course.busy:
            self._cursor, self._listed = None, ()
            self.course.stage = Stage.TARGET
            self.work.open()

    def action_confirm(self) -> None:
        """Keep it."""
        if self.course.busy:
            self._tell(f"Not yet: {self.course.busy}.")
        elif self.course.not_meant:
            self._tell_not_meant()
        else:
            self._with_key(self.course.key())

    def action_roll_back(self) -> None:
        """Put back what ran before."""
        if self.course.busy:
            self._tell(f"Not yet: {self.course.busy}.")
        else:
            course = self.course
            question = f"{push_words.waiting(course)} ({course.mine[:16]}) ends on {course.target}; what ran before runs again."
            self._if_meant("Roll back what was not applied from here?", question, self.work.roll_back)

    def action_step(self, by: int) -> None:
        """What is said of another step."""
        order = list(Step)
        at = order.index(self._cursor or self.course.at)
        self._cursor = order[max(0, min(len(order) - 1, at + by))]
        self.show()

    def action_scroll(self, by: int) -> None:
        """Further down or up."""
        self.query_one("#push-detail", VerticalScroll).scroll_relative(y=by, animate=False)

    def leaving(self, leave: Callable[[], None]) -> bool:
        """Whether to ask before the app is left; `leave` is called where the answer is yes."""
        course = self.course
        if course.stage is not Stage.WAITING or not course.left:
            return False
        question = f"It is rolled back in {push_words.clock(course.left)} unless somebody confirms it; leaving changes nothing."
        dialog = ConfirmDialog(f"A push waits on {course.target}", question, "quit", "stay")
        self.app.push_screen(dialog, lambda yes: leave() if yes else None)
        return True

    def action_back(self) -> None:
        """Leave; what waits there waits on."""
        course = self.course
        if course.stage is Stage.WAITING and course.left:
            self._tell(
                f"The push waits on {course.target} and is rolled back in {push_words.clock(course.left)}. F9 shows it again."
            )
        elif course.busy:
            self._tell(f"It goes on: {course.busy}. F9 shows it again.")
        self.dismiss()

    def _tell(self, text: str) -> None:
        self.notify(visible(text), title="Push", markup=False, timeout=4)


def _no_key(text: str) -> str:
    return "" if Path(text).expanduser().is_file() else f"{visible(text[:200])} is not there"


def _no_time(text: str) -> str:
    from workbench.workflows.push_plan import parse_seconds

    return _wrong(lambda: parse_seconds(text, "window"))


def _no_probe(text: str) -> str:
    from workbench.push.probes import parse

    word, _, rest = text.partition(" ")
    if word not in ("allow", "deny"):
        return "write allow or deny first"
    return _wrong(lambda: parse(rest, word == "allow"))


def _wrong(work: object) -> str:
    try:
        work()  # type: ignore[operator]
    except (UsageError, WorkbenchError) as error:
        return visible(f"{error.message}. {error.remedy}"[:300])
    return ""
