"""One push on its way, from the choice of a target to what became of it: what is known by now, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from workbench.push.plans import Plan
    from workbench.push.probes import Probe
    from workbench.workflows.push_desk import Desk, Waiting
    from workbench.workflows.push_policy import Applied, Status

#: Seconds: for how long a push waits for its confirmation, unless somebody says another.
WINDOW: Final = 120


class Stage(Enum):
    """What the person does next."""

    TARGET = auto()
    PLAN = auto()
    SIGN = auto()
    APPROVE = auto()
    APPLY = auto()
    WAITING = auto()
    OVER = auto()


class Step(Enum):
    """The lines of the screen, in their order."""

    TARGET = "Target"
    PLAN = "Plan"
    PROOF = "Proof"
    IMPACT = "Impact"
    COVERAGE = "Coverage"
    REFUSALS = "Refusals"
    SIGNED = "Signed"
    APPROVED = "Approved"
    APPLIED = "Applied"
    KEPT = "Kept"


#: The line that is worked on, by what comes next.
AT: Final = {
    Stage.TARGET: Step.TARGET,
    Stage.PLAN: Step.PLAN,
    Stage.SIGN: Step.SIGNED,
    Stage.APPROVE: Step.APPROVED,
    Stage.APPLY: Step.APPLIED,
    Stage.WAITING: Step.KEPT,
    Stage.OVER: Step.KEPT,
}


@dataclass
class Keys:
    """Keys that signed last, for as long as the app runs; '' for none yet."""

    author: str = ""
    approver: str = ""
    confirmer: str = ""


@dataclass
class Course:
    """Written by the event loop only.

    policy, text: what is pushed. waits: a push that waits on the target; deadline: when it is rolled back, by `monotonic`.
    mine: the digest that waits, or did. wrong: digests that were found here not to be what was meant, and what was found;
    for as long as the app runs. outcome: `confirmed`, `rolled back` or `gone`, and why. review: what was found before the
    last signature. copies: where the plan was exported to. unreached, unread: why the DPU, or the plan's file, can't be asked.
    version: what the text was kept as once it was signed, or why it was not.
    """

    policy: str
    text: str
    case: Path
    keys: Keys = field(default_factory=Keys)
    desk: Desk | None = None
    statuses: dict[str, Status] = field(default_factory=dict)
    target: str = ""
    stage: Stage = Stage.TARGET
    plan: Plan | None = None
    path: Path | None = None
    copies: tuple[Path, ...] = ()
    signers: tuple[str, str] = ("", "")
    review: dict[str, Any] = field(default_factory=dict)
    force: str = ""
    break_glass: str = ""
    window: int = WINDOW
    probes: tuple[Probe, ...] = ()
    applied: Applied | None = None
    waits: Waiting | None = None
    mine: str = ""
    deadline: float = 0.0
    outcome: tuple[str, str] = ("", "")
    busy: str = ""
    trouble: tuple[Step, Exception] | None = None
    unreached: str = ""
    unread: str = ""
    version: str = ""
    wrong: dict[str, str] = field(default_factory=dict)

    def bundle(self) -> dict[str, Any]:
        """What is planned; empty before."""
        return self.plan.content() if self.plan is not None else {}

    @property
    def watched(self) -> str:
        """The digest that this is about, by now; '' before there is any."""
        return self.mine or (self.plan.digest if self.plan is not None else "")

    @property
    def ours(self) -> bool:
        """Whether what waits was applied from here, and proven, or found not to be what was meant."""
        return bool(self.not_meant) or (self.applied is not None and self.applied.digest == self.mine)

    @property
    def not_meant(self) -> str:
        """What was found wrong with what waits; '' for nothing. Such a push is never offered for confirmation."""
        return self.wrong.get(self.mine, "")

    @property
    def left(self) -> float:
        """Seconds until what waits is rolled back; not below 0."""
        return max(0.0, self.deadline - monotonic())

    @property
    def at(self) -> Step:
        """The line that is worked on, or that something went wrong with."""
        if self.trouble is not None:
            return self.trouble[0]
        return AT[self.stage]

    def key(self) -> str:
        """The key for what comes next: the one that was named last for it, else that of the settings; '' for none.

        An approver's is never that of the settings, which is the author's.
        """
        if self.stage is Stage.APPROVE:
            return self.keys.approver
        mine = self.keys.author or (self.desk.key if self.desk is not None else "")
        return (self.keys.confirmer or mine) if self.stage is Stage.WAITING else mine

    def begin(self, target: str) -> None:
        """Another target, or the same once more: what was planned is not of it, nor is why it might be."""
        self.force = self.break_glass = self.unread = ""
        self.target, self.stage = target, Stage.PLAN
        self.plan, self.path, self.copies, self.signers, self.review = None, None, (), ("", ""), {}
        self.applied, self.waits, self.mine, self.outcome, self.trouble, self.unreached = None, None, "", ("", ""), None, ""

    def planned(self, plan: Plan, path: Path) -> None:
        """There is a plan: it is to be signed."""
        self.plan, self.path, self.copies, self.signers, self.review = plan, path, (), ("", ""), {}
        self.version = ""
        self.stage, self.unread = Stage.SIGN, ""

    def gathered(self, plan: Plan, signers: tuple[str, str]) -> None:
        """Signatures came to it. Nothing else of its file is taken: what stands beside the bundle there nobody has signed."""
        assert self.plan is not None
        self.plan, self.signers = replace(self.plan, signature=plan.signature, approval=plan.approval), signers
        if self.stage in (Stage.SIGN, Stage.APPROVE, Stage.APPLY):
            done = bool(plan.approval or plan.content()["break_glass"])
            self.stage = Stage.SIGN if not plan.signature else Stage.APPLY if done else Stage.APPROVE

    def wait(self, digest: str, remaining: float) -> None:
        """A push waits there for that many seconds."""
        self.mine, self.deadline, self.stage = digest, monotonic() + remaining, Stage.WAITING

    def over(self, outcome: str, why: str) -> None:
        """What became of it."""
        self.outcome, self.stage = (outcome, why), Stage.OVER
