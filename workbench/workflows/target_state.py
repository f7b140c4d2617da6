"""What a target's answer means: what runs there and until when, what somebody changed, what a person must hear of.

An answer is a DPU's, so a stranger's: every field is looked at once, here, and what is not as it should be makes the target's
state `unreadable`, whatever else it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from workbench.records.visible import visible
from workbench.workflows import push_log
from workbench.workflows.push_policy import Status, rule_of

#: Characters of a text of a DPU's that are kept.
_WORDS: Final = 300
#: After these the resident had the rules loaded anew, so that counts began again.
_LOADED: Final = frozenset({"restored", "expired", "lapsed", "rolled-back"})
#: In this order the states of a target ask for a person.
_BAD: Final = frozenset({"drift", "down", "unguarded", "unreachable", "unreadable", "refuses", "old protocol"})


@dataclass(frozen=True, slots=True)
class Running:
    """Rules that run. policy: its name; at: when they were pushed; times in seconds since 1970, by the target's clock.

    lapses: when rules of one signature end; lease: until when members of groups hold; waits: seconds until rules that
    nobody confirmed are rolled back, by the answer. None: never.
    """

    policy: str
    digest: str
    signer: str = ""
    approver: str = ""
    at: float | None = None
    lapses: float | None = None
    lease: float | None = None
    waits: float | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What somebody changed. rules: ids, '' for lines of no rule; lines: each with `+` or `-` before it.

    since: when the daemon there first saw it.
    """

    rules: tuple[str, ...]
    lines: tuple[str, ...]
    since: float

    @property
    def words(self) -> str:
        """`contain/no-web`, visible, and how many more; lines that belong to no rule are `another rule of ours`."""
        names = [visible(rule) if rule else "another rule of ours" for rule in self.rules]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@dataclass(frozen=True, slots=True)
class TargetState:
    """One target at one moment. state: as Status has it, and `unreadable`; error: why it says nothing.

    counts: (rule, packets, bytes), by rule; loaded: not before then they were counted from 0. host: `restricted`,
    `privileged` or `unknown`: whether the host may reach into the DPU. warnings: sentences about everything else. gone: no
    resident is there, where one is known to have been.
    """

    name: str
    kind: str
    address: str
    state: str
    error: str = ""
    now: float | None = None
    running: Running | None = None
    changed: Changed | None = None
    counts: tuple[tuple[str, int, int], ...] = ()
    never: tuple[str, ...] = ()
    loaded: float | None = None
    host: str = "unknown"
    warnings: tuple[str, ...] = ()
    gone: bool = False

    @property
    def bad(self) -> bool:
        """Whether a person must look."""
        return self.gone or self.state in _BAD


def state_of(one: Status, kind: str, met: bool = False) -> TargetState:
    """What an answer means. Never raises for what is in it. met: whether its resident has answered before."""
    if one.error:
        gone = one.state == "not enrolled" and (met or (push_log.folder() / f"{one.target}.digest").exists())
        words = f"its resident is gone: wiped, or set up anew? ({one.error})" if gone else one.error
        return TargetState(one.target, kind, one.address, one.state, words[:_WORDS], gone=gone)
    try:
        return _read(one, kind)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        why = f"its answer is not a resident's: {type(error).__name__}: {error}"
        return TargetState(one.target, kind, one.address, "unreadable", why[:_WORDS])


def _read(one: Status, kind: str) -> TargetState:
    said = one.said
    return TargetState(
        one.target,
        kind,
        one.address,
        one.state,
        now=_seconds(said["now"]),
        running=_running(said, one.policy),
        changed=changed_of(one),
        counts=tuple((str(rule)[:_WORDS], int(packets), int(size)) for rule, packets, size in one.counters if "(" not in rule),
        never=one.never,
        loaded=_loaded(said),
        host=said["host"] if said["host"] in ("restricted", "privileged") else "unknown",
        warnings=tuple(line[:_WORDS] for line in notices(said)),
    )


def _seconds(value: Any) -> float:
    """A time; ValueError for what is none, or not of this age of the world."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise ValueError(f"{str(value)[:20]} is no time")
    return float(value)


def _maybe(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _running(said: Mapping[str, Any], policy: str) -> Running | None:
    """What runs: a push that waits, else what was confirmed."""
    kept, pending = said["confirmed"], said["pending"]
    if pending is not None:
        return Running(_name_in(policy), str(pending["digest"])[:64], waits=max(0.0, float(pending["remaining"])))
    if kept is None:
        return None
    return Running(
        str(kept["policy"])[:_WORDS],
        str(kept["digest"])[:64],
        str(kept["signer"])[:_WORDS],
        str(kept["approver"])[:_WORDS],
        _seconds(kept["at"]),
        _maybe(kept["lapses"]),
        _maybe((kept.get("members") or {}).get("until")),
    )


@lru_cache(16)
def _name_in(policy: str) -> str:
    """The name of a policy by its text, which a bundle that waits carries; '' where it can't be read."""
    from workbench.errors import PolicyError
    from workbench.policy.loader import load

    try:
        return load([("the policy that runs", policy)]).policy.metadata.name if policy else ""
    except PolicyError:
        return ""


def changed_of(one: Status) -> Changed | None:
    """What differs from what was applied; None where nothing does."""
    gone = one.said["drift"]
    if not gone:
        return None
    lines = [(sign, str(line).strip()) for sign, name in (("+", "added"), ("-", "removed")) for line in gone[name]]
    rules = {rule_of(line, one.ids)[:_WORDS] for _, line in lines}  # a comment, or an id of its bundle: of any length
    return Changed(tuple(sorted(rules)), tuple(f"{sign} {line[:_WORDS]}" for sign, line in lines), _seconds(gone["since"]))


def _loaded(said: Mapping[str, Any]) -> float | None:
    """Rules were counted from 0 not before then: when they were pushed, or had to be loaded anew."""
    if said["pending"] or not said["confirmed"]:
        return None
    again = [_seconds(alert["at"]) for alert in said["alerts"] if alert["code"] in _LOADED]
    return max([_seconds(said["confirmed"]["at"]), *again])


def warnings(said: Mapping[str, Any]) -> list[str]:
    """What a person must hear of that a target has said, a sentence each."""
    lines = notices(said)
    if said["drift"]:
        lines.insert(0, "somebody changed its rules: workbench push drift")
    host = {
        "privileged": "the host may reach into the DPU: it is not restricted",
        "unknown": "nobody can say whether the host may reach in",
    }
    return [*lines, host[said["host"]]] if said["host"] in host else lines


def notices(said: Mapping[str, Any]) -> list[str]:
    """The same but for drift and the host, which have places of their own."""
    lines = [f"the dataplane does not answer: {said['down']['message']}"] if said["down"] else []
    lines += [
        f"BREAK-GLASS {one['digest'][:16]} ({one['policy']}) by {one['signer']} is not reviewed: {one['why']}"
        for one in said["unreviewed"]
    ]
    lines += [f"{said['occupied']}: a push would be refused"] if said.get("occupied") else []
    lines += [f"its bridge is run by another ({said['owner']}): a push would be refused"] if said.get("owner") else []
    lines += _lease(said)
    lines += [] if said["watched"] else ["its daemon does not run: nothing would roll back; enrol it again"]
    lines += [f"its clock has jumped by {said['skew']:+.0f} s; times there count on without it"] if abs(said["skew"]) > 60 else []
    return lines + [f"the rules were gone for up to {gap['seconds']} s (restart)" for gap in said["gaps"][-3:]]


def _lease(said: Mapping[str, Any]) -> list[str]:
    """A lease that ran out: allows have lost their members."""
    until = ((said["confirmed"] or {}).get("members") or {}).get("until")
    if until is None or said["now"] < until:
        return []
    return ["the lease of its groups has run out: what they allowed is closed, what they denied stays; push reconcile renews it"]
