"""The formats that policies are imported from, and the import itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from workbench.policy.foreign import calico, cilium, clusternetworkpolicy, kubernetes, objects
from workbench.policy.foreign.cluster import Cluster
from workbench.policy.foreign.objects import Kinds, Object, Refusal
from workbench.policy.foreign.stages import Made, TooManyError
from workbench.policy.loader import Problem, refused
from workbench.policy.model import Policy


class Format(Protocol):
    """One format. KINDS: what it reads; NAMESPACED: those of a namespace; FACTS: what it looks things up in.

    CAUTION: how its systems differ from any policy of ours, in a sentence.
    """

    KINDS: Kinds
    NAMESPACED: frozenset[str]
    FACTS: Kinds
    CAUTION: str

    def read(self, one: Object, cluster: Cluster) -> Any:
        """One policy; Refusal where it cannot be had exactly."""

    def made(self, name: str, found: Sequence[Any], cluster: Cluster) -> Made:
        """What all that were read make together; Refusal, TooManyError."""


#: By the name that the command line knows it by. Where `auto` chooses, the first that reads all policies.
FORMATS: Final[Mapping[str, Format]] = {
    "kubernetes": kubernetes,
    "clusternetworkpolicy": clusternetworkpolicy,
    "cilium": cilium,
    "calico": calico,
}
AUTO: Final = "auto"

#: API groups of policies: whatever else they hold is no bystander.
_GROUPS: Final = frozenset(group for form in FORMATS.values() for group, _ in form.KINDS)


@dataclass(frozen=True, slots=True)
class Imported:
    """policy; notes: as `written.text_of` takes them; told: what a person should know before relying on it."""

    policy: Policy
    notes: dict[str, list[str]]
    told: tuple[str, ...]


def import_policy(form: str, texts: Iterable[tuple[str, str]], name: str = "imported", namespace: str = "") -> Imported:
    """One policy from (file name, text) pairs. form: a key of FORMATS, or AUTO.

    namespace: of policies that say none, as `kubectl apply -n` would have it. PolicyError with every object that cannot be
    imported exactly: file, line, field and why.
    """
    found, problems = objects.read(texts)
    cluster = Cluster()
    policies, others = _sorted_out(form, found, cluster, namespace, problems)
    if not policies and not problems:
        problems.append(Problem(found[0].body.file if found else "policy", 1, "", "there is no policy here to import"))
    chosen = FORMATS.get(form) or _chosen(policies, problems)
    made = _made(chosen, policies, cluster, name, problems) if chosen is not None and policies else None
    if made is None or chosen is None or problems:
        raise refused(problems, "Nothing was imported; docs/policy-import.md lists every field.")
    counts = Counter(one.kind for one in policies)
    told = [f"from {', '.join(f'{n} {kind}' for kind, n in sorted(counts.items()))}", chosen.CAUTION, *cluster.notes]
    if others:
        told.append(f"left out, since they are no policies: {', '.join(f'{n} {kind}' for kind, n in sorted(others.items()))}")
    return Imported(made.policy, {"": [f"Imported {told[0]}.", *told[1:]], **made.notes}, tuple(told))


def _sorted_out(
    form: str, found: list[Object], cluster: Cluster, namespace: str, problems: list[Problem]
) -> tuple[list[Object], Counter[str]]:
    """The policies, and how many objects of other kinds there are; the cluster takes what says something of it."""
    policies: list[Object] = []
    others: Counter[str] = Counter()
    formats = [one for name, one in FORMATS.items() if form in (AUTO, name)]
    seen: dict[tuple[str, str, str], Object] = {}
    for one in found:
        pair = one.group, one.version
        reader = next((f for f in formats if one.kind in f.KINDS.get(pair, ())), None)
        try:
            if reader is not None or any(one.kind in f.FACTS.get(pair, ()) for f in formats):
                ours = _placed(one, namespace, reader)
                first = seen.setdefault((ours.kind, ours.namespace, ours.name), ours)
                if first is not ours:
                    raise one.body.wrong(f"{ours.title()} is in {first.body.file}:{first.body.line} already")
                (policies if reader is not None else cluster.facts.setdefault(one.kind, [])).append(ours)
            elif one.group in _GROUPS:
                said = f"{one.kind[:60]} of {one.group}/{one.version} is not imported"
                raise one.body.need("kind").wrong(said if form == AUTO else f"{said} as {form}")
            elif not cluster.take(one):
                others[one.kind[:60]] += 1
        except Refusal as refusal:
            problems.append(refusal.problem)
    return policies, others


def _placed(one: Object, namespace: str, reader: Format | None) -> Object:
    """With its namespace, where its kind has one."""
    if reader is None:
        return one
    meta = one.body.need("metadata")
    if one.kind not in reader.NAMESPACED:
        if one.namespace:
            raise meta.need("namespace").wrong(f"{one.kind} is of the whole cluster")
        return one
    if not (one.namespace or namespace):
        raise meta.missing("namespace", "missing: say it, or give --namespace as for kubectl apply -n")
    return replace(one, namespace=one.namespace or namespace)


def _chosen(policies: Sequence[Object], problems: list[Problem]) -> Format | None:
    """The first format that reads all of them."""
    kinds = {(one.group, one.version, one.kind) for one in policies}
    for form in FORMATS.values():
        if all(kind in form.KINDS.get((group, version), ()) for group, version, kind in kinds):
            return form
    said = ", ".join(sorted(f"{kind} of {group}" for group, _, kind in kinds))
    problems.append(Problem(policies[0].body.file, 1, "", f"{said}: what they mean together is not known, import them apart"))
    return None


def _made(form: Format, policies: list[Object], cluster: Cluster, name: str, problems: list[Problem]) -> Made | None:
    """Every policy is read, so that the mistakes of all are told."""
    read: list[Any] = []
    for one in policies:
        try:
            read.append(form.read(one, cluster))
        except Refusal as refusal:
            problems.append(refusal.problem)
    if problems:
        return None
    try:
        return form.made(name, read, cluster)
    except Refusal as refusal:
        problems.append(refusal.problem)
    except TooManyError as error:
        problems.append(Problem(policies[0].body.file, 1, "", str(error)))
    return None
