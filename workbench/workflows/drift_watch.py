"""Drift while attached: the targets of the settings are asked now and then whether somebody changed their rules.

It never costs the attachment anything but a line: threads of its own, questions that are killed when they hang, and whatever
fails is told and passed over. What is found is a line of the audit log of the case (`push_drifted`), where it belongs: the ledger
says what the packets can't, and they are as good as before.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from workbench.errors import UsageError, WorkbenchError
from workbench.push.targets import known_targets, target_of
from workbench.records.visible import visible
from workbench.settings import Settings, load_settings
from workbench.workflows.target_state import Changed, TargetState
from workbench.workflows.target_watch import Joined, Seen, TargetWatch

#: Seconds between two questions at least, whatever the settings say.
_LEAST: Final = 1.0


@dataclass(frozen=True, slots=True)
class DriftNews:
    """Something about one target has changed. what: `drift`, `over`, or `silent`: it can't be asked, so nobody knows.

    rules: ids, '' for flows of none; since: seconds since 1970 by the target's clock, when its daemon first saw it.
    """

    target: str
    what: Literal["drift", "over", "silent", "answers", "failed"]
    words: str
    rules: tuple[str, ...] = ()
    since: float | None = None

    def text(self) -> str:
        """A line for people, visible."""
        name = visible(self.target)
        if self.what == "drift":
            when = f"{dt.datetime.fromtimestamp(self.since or 0.0, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
            return f"DRIFT on {name} since {when}: somebody changed {self.words}; workbench push drift {name} shows the lines"
        if self.what == "over":
            return f"{name}: its rules are again those that were applied"
        if self.what == "answers":
            return f"{name}: answers again"
        if self.what == "failed":
            return f"{name}: drift: {visible(self.words)}"
        return f"{name}: nobody knows whether its rules drift: {visible(self.words)}"


class DriftWatch:
    """Who tells of changes, once each. Give it answers with `hear`; `now` is what holds, for a line that stays."""

    def __init__(self, case: Path | None, tell: Callable[[DriftNews], None]) -> None:
        """case: whose audit log gets the lines; None: none does."""
        self._case, self._tell = case, tell
        self._lock = threading.Lock()
        self._changed: dict[str, Changed] = {}
        self._words: dict[str, str] = {}
        self._silent: dict[str, TargetState] = {}
        self._unwritten: list[DriftNews] = []

    @property
    def now(self) -> list[str]:
        """What holds, in a few words a target: `dpu1 DRIFTS: contain/no-web`; and `drift of dpu1 unknown`."""
        with self._lock:
            drifting = [f"{visible(name)} DRIFTS: {words}" for name, words in sorted(self._words.items())]
            return drifting + [f"drift of {visible(name)} unknown" for name, state in sorted(self._silent.items()) if state.bad]

    @property
    def drifting(self) -> bool:
        """Whether rules of any target are changed now."""
        with self._lock:
            return bool(self._changed)

    def hear(self, seen: Seen) -> None:
        """An answer of a target, or that a question is on its way. News are told before anything is written that can fail."""
        state = seen.state
        if seen.asked is not None or state is None:
            return
        try:
            for news in self._news(state):
                self._tell(news)
        finally:
            for news in self._written():
                self._tell(news)

    def _news(self, state: TargetState) -> list[DriftNews]:
        name, found = state.name, []
        with self._lock:
            if state.error or state.state == "down":
                why = state.error or "its dataplane does not answer"
                before = self._silent.get(name)
                if before is None or (state.gone and not before.gone):
                    found.append(DriftNews(name, "silent", why))
                self._silent[name] = state  # one that was never enrolled is told once, but no line stays
                return found
            if self._silent.pop(name, None) is not None:
                found.append(DriftNews(name, "answers", ""))
            known, changed = self._changed.get(name), state.changed
            if changed is None:
                self._changed.pop(name, None)
                self._words.pop(name, None)
                return [*found, DriftNews(name, "over", "")] if known is not None else found
            self._words[name], self._changed[name] = changed.words, changed
            if known is not None and known.lines == changed.lines:
                return found
            found.append(DriftNews(name, "drift", self._words[name], changed.rules, changed.since))
            self._unwritten.append(found[-1])
        return found

    def _written(self) -> list[DriftNews]:
        """In the audit log of the case, once it is there; a disk that is full costs a line, and that is told."""
        if self._case is None or not (self._case / "case.toml").exists():
            return []
        from workbench.audit.log import AuditLog

        with self._lock:
            due, self._unwritten = self._unwritten, []
        failed = []
        for one in due:
            detail = {"target": one.target, "since": int(one.since or 0), "rules": list(one.rules[:50]), "how": "while attached"}
            try:
                AuditLog(self._case).append("push_drifted", **detail)
            except Exception as error:  # what a DPU says must not end the watch over it
                why = error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
                failed.append(DriftNews(one.target, "failed", f"the audit log takes no line of it: {why}"))
        return failed


class Beside:
    """The watch for as long as a block lasts, as the settings say. Nothing of it can make the block fail."""

    def __init__(self, case: Path, tell: Callable[[DriftNews], None]) -> None:
        self._case, self._tell = case, tell
        self._joined: Joined | None = None

    def __enter__(self) -> Beside:
        try:
            settings = load_settings()
            targets = list(known_targets(settings).values())
        except WorkbenchError as error:
            self._tell(DriftNews("settings", "failed", error.message))
            return self
        every = drift_period(settings)
        if every:
            self._joined = TargetWatch(targets).join(every, DriftWatch(self._case, self._tell).hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._joined is not None:
            self._joined.close()


def drift_period(settings: Settings) -> float:
    """How often the targets are to be asked while attached, in seconds; 0: not at all, or there is none."""
    every = settings.attach.drift_every
    return max(_LEAST, every) if every and settings.targets else 0.0


def watch_drift(names: Sequence[str], every: float, tell: Callable[[DriftNews], None], stop: threading.Event) -> bool:
    """Those targets, or all of the settings, until `stop` is set; whether one drifts at the end.

    UsageError where there is none, SettingsError. What `tell` raises ends it and is raised here: nobody reads any more.
    """
    settings = load_settings()
    targets = [target_of(settings, name) for name in names] or list(known_targets(settings).values())
    if not targets:
        raise UsageError("the settings have no target", "Add a [targets.NAME]: see docs/push.md.")
    failed: list[Exception] = []

    def told(news: DriftNews) -> None:
        try:
            tell(news)
        except Exception as error:
            failed.append(error)
            stop.set()

    watch = DriftWatch(None, told)
    with TargetWatch(targets).join(every, watch.hear):
        stop.wait()
    if failed:
        raise failed[0]
    return watch.drifting
