"""A policy as it is tried: rules in order, resolved as of a time, and who is in each group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.policy.addresses import AddressSet
    from workbench.policy.loader import Loaded
    from workbench.policy.members import Members
    from workbench.policy.model import Rule
    from workbench.workflows.policy_at import AsOf

#: Prefixes, and names of workloads, of one set that are written out.
MOST: Final = 200

_COLUMNS: Final = (
    "kind", "n", "name", "tier", "priority", "action", "from", "to", "services", "existing", "ends", "log",
    "from_addresses", "to_addresses", "addresses", "v4", "v6", "workloads", "description", "file", "line",
)  # fmt: skip
_NUMBERS: Final = ("n", "priority", "line")

#: What tables on a terminal show of rules and of groups.
RULES: Final = ("n", "name", "tier", "priority", "action", "from", "to", "services", "ends")
GROUPS: Final = ("name", "v4", "v6", "addresses", "workloads")


@dataclass(frozen=True, slots=True)
class Shown:
    """rows: rules in the order in which they are tried, the default, then groups. notes: what should be known of them."""

    rows: pa.Table
    notes: tuple[str, ...]


def show(path: Path, moment: AsOf) -> Shown:
    """The policy at that path. PolicyError, MissingPathError as `read_policy`."""
    import pyarrow as pa

    from workbench.policy.members import Members
    from workbench.policy.reading import read_policy

    loaded = read_policy(path)
    members = Members(loaded.policy, moment.resolver, moment.now)
    unknown = frozenset() if moment.known else frozenset(_selecting(loaded))
    rows = [*_rules(loaded, members, moment, unknown), _default(loaded), *_groups(loaded, members, moment, unknown)]
    kinds = {name: pa.int32() for name in _NUMBERS} | {"log": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in _COLUMNS])
    told = ", ".join(f"`{name}`" for name in sorted(unknown))
    notes = [f"without --case nobody knows who is in {told}"] if told else []
    notes += _contradictory(loaded, moment)
    return Shown(pa.Table.from_pylist(rows, schema), tuple(notes))


def _contradictory(loaded: Loaded, moment: AsOf) -> list[str]:
    """What everything else refuses the policy for; shown it is all the same, to be mended."""
    from workbench.errors import PolicyError
    from workbench.policy.contradictions import refuse_as_known

    try:
        refuse_as_known(loaded, moment.resolver, moment.now)
    except PolicyError as error:
        return [f"no order of rules is meant here: {line}" for line in error.message.splitlines()]
    return []


def parts(rows: pa.Table) -> list[tuple[str, pa.Table]]:
    """The rows as tables for people: rules and the default, then groups with who is in them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    groups = pc.equal(rows["kind"], "group")
    found = [("rules", rows.filter(pc.invert(groups)).select(list(RULES)))]
    if pc.any(groups).as_py():
        members = rows.filter(groups).select(list(GROUPS))
        for n in (1, 2):  # counts of IPv6 prefixes have up to 39 digits
            members = members.set_column(n, GROUPS[n], pa.array([_short(text) for text in members[n].to_pylist()], pa.string()))
        found.append(("groups", members.rename_columns(["group", *GROUPS[1:]])))
    return found


def _rules(loaded: Loaded, members: Members, moment: AsOf, unknown: frozenset[str]) -> Iterator[dict[str, Any]]:
    from workbench.policy.naive import in_force, in_order

    places = {rule.name: n for n, rule in enumerate(loaded.policy.rules)}
    for n, rule in enumerate(in_order(loaded.policy), 1):
        file, line = loaded.where("rules", places[rule.name])
        yield {
            "kind": "rule", "n": n, "name": rule.name, "tier": rule.tier, "priority": rule.priority, "action": rule.action,
            "from": ", ".join(rule.from_), "to": ", ".join(rule.to), "services": ", ".join(rule.services),
            "existing": rule.existing, "ends": _ends(rule, moment, ended=not in_force(rule, moment.now)), "log": rule.log,
            "from_addresses": _written(rule.from_, members, unknown), "to_addresses": _written(rule.to, members, unknown),
            "description": rule.description or None, "file": file, "line": line,
        }  # fmt: skip


def _default(loaded: Loaded) -> dict[str, Any]:
    file, line = loaded.where("defaults")
    action = loaded.policy.defaults.east_west
    return {
        "kind": "default",
        "name": "default",
        "action": action,
        "from": "internal",
        "to": "internal",
        "file": file,
        "line": line,
    }


def _groups(loaded: Loaded, members: Members, moment: AsOf, unknown: frozenset[str]) -> Iterator[dict[str, Any]]:
    names = [*(["internal"] if loaded.policy.internal else []), *loaded.policy.groups]
    for name in names:
        file, line = loaded.where(*(("groups", name) if name in loaded.policy.groups else ("internal",)))
        row = {"kind": "group", "name": name, "file": file, "line": line}
        if name not in unknown:
            found = members.peer(name)
            called = moment.named(found)
            row |= {"v4": str(found.v4().count()), "v6": str(found.v6().count()), "addresses": _prefixes(found)}
            row |= {"workloads": ", ".join(called[:MOST]) if moment.known else None}
        yield row


def _written(words: Sequence[str], members: Members, unknown: frozenset[str]) -> str | None:
    return None if unknown.intersection(words) else _prefixes(members.peers(list(words)))


def _short(text: str | None) -> str | None:
    count = int(text or 0)
    return f"2^{count.bit_length() - 1}" if count >= 1 << 32 and count & (count - 1) == 0 else text


def _prefixes(found: AddressSet) -> str:
    from workbench.policy.wording import prefixes

    return prefixes(found, MOST)


def _ends(rule: Rule, moment: AsOf, *, ended: bool) -> str | None:
    from workbench.policy.model import lasts, until

    if rule.expires is None:
        return None
    if lasts(rule.expires):
        return f"{rule.expires} after it is applied"
    at = until(rule.expires, moment.now)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" + (" (over)" if ended else " (soon)" if at - moment.now < timedelta(days=1) else "")


def _selecting(loaded: Loaded) -> list[str]:
    """Groups with workloads in them by what they are called or labelled, which only a case knows."""
    from workbench.policy.members import selector_of
    from workbench.policy.stand_ins import unknown_groups

    groups = loaded.policy.groups
    used = {selector for group in groups.values() if (selector := selector_of(group)) is not None}
    return [name for name in groups if unknown_groups(loaded.policy, [name], used)]
