"""A policy as a target's own rules, proven before anyone sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import BadInputError, InternalError, MissingPathError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.policy.addresses import AddressSet
    from workbench.policy.loader import Loaded
    from workbench.policy.resolved import Resolved
    from workbench.push.compiled import Compiled
    from workbench.push.proof import Proof
    from workbench.settings import Settings
    from workbench.workflows.policy_at import AsOf

KINDS: Final = ("ovs", "nft")
#: What a file of numbers may have at most, in bytes.
_MOST: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Made:
    """compiled, and what was proven of it; resolved: what it was compiled from.

    contested: lines on groups of which it can't be told whether some addresses are in them, which the rules leave out.
    """

    compiled: Compiled
    proof: Proof
    resolved: Resolved
    serves: AddressSet
    contested: tuple[str, ...] = ()

    def told(self) -> Iterator[str]:
        """Lines for a person: notes, sizes, the proof."""
        yield from (f"error: {line}" for line in self.contested)
        report = self.compiled.report
        for note in report.notes:
            yield f"{note.rule_id}: {note.text}"
        what = "flows" if self.compiled.kind == "ovs" else "nft rules"
        sets = f", elements of sets: {report.elements:,}" if report.elements else ""
        yield f"rules: {report.rules:,}; on the target {what}: {report.lines:,}{sets}, {report.size:,} bytes"
        if report.per_rule and report.per_rule[0][1] > 1:
            yield "most are of " + ", ".join(f"{rule_id} ({count:,})" for rule_id, count in report.per_rule[:3])
        yield from (f"not proven: {line}" for line in (*self.proof.problems, *(one.text() for one in self.proof.examples)))
        if self.proof.equal:
            yield "read back and proven: every packet, new, established or in mid-stream, is judged as the policy says"

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs; `ids` is what --before takes."""
        made = self.compiled
        return {
            "kind": made.kind,
            "policy": made.policy,
            "digest": made.digest,
            "layout": asdict(made.layout),
            "text": made.text,
            "adopt": made.adopt,
            "remove": made.remove,
            "ids": {str(number): rule_id for number, rule_id in made.ids.items()},
            "cut": list(made.cut),
            "expires": {str(number): text for number, text in made.expires.items()},
            "report": asdict(made.report),
            "contested": list(self.contested),
            "proven": self.proof.equal,
            "counterexamples": [one.text() for one in self.proof.examples],
            "problems": list(self.proof.problems),
        }


def compile_policy(path: Path, target: str, moment: AsOf, settings: Settings, before: Path | None = None) -> Made:
    """The policy at that path for `ovs`, `nft` or a target of the settings.

    UsageError where there is no such target, or where labels need a case; PolicyError as `read_policy`, and where
    rules contradict each other or the target can't do what one says.
    """
    from workbench.policy.contested import contested_lines
    from workbench.policy.contradictions import refuse_contradictions
    from workbench.policy.reading import read_policy
    from workbench.policy.resolved import resolve

    loaded = read_policy(path)
    kind, serves, sampling = _target(target, settings)
    if not moment.known:
        _need_no_case(loaded)
    resolved = resolve(loaded.policy, moment.resolver, moment.now)
    refuse_contradictions(loaded, resolved)
    made = compiled_for(resolved, kind, serves, None if before is None else read_numbers(before), sampling)
    return replace(made, contested=tuple(contested_lines(loaded.policy, moment.resolver, moment.now)))


def compiled_for(
    resolved: Resolved, kind: str, serves: AddressSet, before: Mapping[int, str] | None = None, sampling: int = 0
) -> Made:
    """Compiled, read back from its own text and proven. sampling: as for push/rules.stages."""
    if kind == "ovs":
        from workbench.push import ovs
        from workbench.push.compiled import OvsLayout, Sampling

        made = ovs.compile_rules(resolved, OvsLayout(sampling=Sampling.one_in(sampling)), before=before, serves=serves)
        return Made(made, ovs.prove(made, resolved, serves=serves), resolved, serves)
    if kind != "nft":
        raise InternalError(f"no compiler for {kind}")
    from workbench.push import nft

    made = nft.compile_rules(resolved, before=before, serves=serves)
    return Made(made, nft.prove(made, resolved, serves=serves), resolved, serves)


def _target(name: str, settings: Settings) -> tuple[str, AddressSet, int]:
    from workbench.policy import addresses
    from workbench.push.targets import target_of

    if name in KINDS and name not in settings.targets:
        return name, addresses.ANY, 0
    found = target_of(settings, name)
    return found.kind, found.served(), found.sampling


def _need_no_case(loaded: Loaded) -> None:
    """A deny whose group nobody knows would stop nothing: that is said, not compiled."""
    from workbench.policy.members import selector_of

    asking = [f"`{name}`" for name, group in loaded.policy.groups.items() if selector_of(group) is not None]
    if asking:
        raise UsageError(f"nobody knows who is in {', '.join(asking[:10])}", "Name the case that does with --case.")


def read_numbers(path: Path) -> dict[int, str]:
    """The `ids` in what --format json wrote before. MissingPathError, BadInputError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise MissingPathError(f"{path}: {error.strerror}", "Name what --format json wrote.") from error
    try:
        if len(data) > _MOST:
            raise ValueError("too large")
        said = json.loads(data)["ids"]
        found = {int(number): rule_id for number, rule_id in said.items()}
        if not all(0 <= number < 1 << 32 and isinstance(rule_id, str) for number, rule_id in found.items()):
            raise ValueError("numbers out of range")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path} has no numbers of rules: {error}", "Name what --format json wrote.") from error
    return found
