"""Policies that are looked at together: resolved as of one moment, with one set of stand-ins, and with names for sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.policy.loader import Loaded
    from workbench.policy.members import Members
    from workbench.policy.resolved import Resolved
    from workbench.policy.wording import Names
    from workbench.workflows.policy_at import AsOf


@dataclass(frozen=True, slots=True)
class Sides:
    """One value a policy. notes: what should be known of any answer about them."""

    loaded: tuple[Loaded, ...]
    members: tuple[Members, ...]
    resolved: tuple[Resolved, ...]
    names: Names
    notes: tuple[str, ...]


def sides(paths: Sequence[Path], moment: AsOf) -> Sides:
    """Read and resolve policies. MissingPathError, PolicyError as `read_policy`, and where rules contradict."""
    from workbench.policy.contradictions import refuse_as_known
    from workbench.policy.reading import read_policy

    loaded = tuple(map(read_policy, paths))
    for one in loaded:
        refuse_as_known(one, moment.resolver, moment.now)
    return sides_of(loaded, moment)


def sides_of(loaded: tuple[Loaded, ...], moment: AsOf) -> Sides:
    """The same of policies that were read. The editor compares drafts: contradictions are not refused, lint tells them there."""
    from workbench.policy.members import Members
    from workbench.policy.resolved import resolve
    from workbench.policy.stand_ins import StandIns, unknown_groups

    policies = [one.policy for one in loaded]
    stand_ins = StandIns(policies, moment.resolver, together=True)
    members = tuple(Members(policy, stand_ins, moment.now) for policy in policies)
    resolved = tuple(resolve(policy, stand_ins, moment.now) for policy in policies)
    names = _names(loaded, members, stand_ins)
    unknown = {name for policy in policies for name in unknown_groups(policy, policy.groups, stand_ins.used)}
    return Sides(loaded, members, resolved, names, tuple(stood_in(sorted(unknown), moment)))


def when(moment: AsOf) -> str:
    """As of when an answer is, in words: rules, and members where they are of another time."""
    rules, members = (f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (moment.now, moment.members))
    return f"as of {rules}" + (f", members as of {members}" if moment.known and members != rules else "")


def stood_in(groups: Sequence[str], moment: AsOf) -> list[str]:
    """The note that workloads were thought up; none where none were."""
    if not groups:
        return []
    who = ", ".join(f"`{name}`" for name in groups)
    why = (
        f"the case knows nobody who is in {who} at {moment.members:%Y-%m-%dT%H:%M:%SZ}"
        if moment.known
        else f"without a case nobody is known to be in {who}"
    )
    return [f"{why}: judged as for workloads that have just what is asked for"]


def _names(loaded: Sequence[Loaded], members: Sequence[Members], stand_ins: object) -> Names:
    """The new one's names hold; groups of one name with other members say whose they are."""
    from workbench.policy.stand_ins import StandIns
    from workbench.policy.wording import Names

    assert isinstance(stand_ins, StandIns)
    groups = [one.policy.groups for one in loaded]
    differing = {
        name for name in groups[0] if len(groups) > 1 and name in groups[1] and members[0].peer(name) != members[1].peer(name)
    }
    for policy, known in zip(groups, members, strict=True):
        for name in policy:
            known.peer(name)
    names = Names(stand_ins.called())
    for n in reversed(range(len(groups))):
        names.learn(members[n], [name for name in groups[n] if name not in differing])
        names.learn(members[n], sorted(differing), " (new)" if n else " (old)")
    return names
