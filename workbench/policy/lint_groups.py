"""Groups that mean nobody, that lack a family, that nothing uses, and lists that mean either where both were wanted."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.policy.contested import contested_words
from workbench.policy.linted import Finding, Linted
from workbench.policy.members import selector_of
from workbench.policy.model import Group


def nobody_in_it(view: Linted) -> Iterator[Finding]:
    """Groups without members as of the time, and those that never can have any."""
    for name in view.policy.groups:
        if view.never_anybody([name]):
            yield view.at_group(name, "warning", "empty-group", "nobody can be in it: what it asks for excludes itself")
        elif view.known and not view.members.peer(name):
            yield view.at_group(
                name, "warning", "matches-nothing", "it means nobody whom the case knows, as of the time asked about"
            )


def contested(view: Linted) -> Iterator[Finding]:
    """Groups of rules of which it can't be told whether some addresses are in them: others claim those, too."""
    for name, found in view.contested():
        yield view.at_group(name, "error", "contested", contested_words(found))


def one_family(view: Linted) -> Iterator[Finding]:
    """Groups of rules that have addresses of one family only, where `internal` has both: the other falls to the default."""
    families = view.families()
    default = view.policy.defaults.east_west
    denying = {word for rule in view.policy.rules if rule.action in ("deny", "reject") for word in (*rule.from_, *rule.to)}
    for name in sorted(view.used & view.policy.groups.keys()):
        found = view.members.peer(name)
        missing = [family for family, whole in families if not found & whole]
        if len(families) < 2 or len(missing) != 1 or not view.is_known(name):
            continue
        severity = "warning" if default == "allow" and name in denying else "note"
        said = f"it has no {missing[0]} address: {missing[0]} of those in it falls to other rules and to the default, {default}"
        yield view.at_group(name, severity, "one-family", said)


def unused(view: Linted) -> Iterator[Finding]:
    """Groups that neither a rule nor a test means."""
    tested = {word for test in view.policy.tests for word in (test.from_, test.to)}
    for name in view.policy.groups:
        if name not in view.used and name not in tested:
            yield view.at_group(name, "note", "unused-group", "no rule means it")


def either_for_both(view: Linted) -> Iterator[Finding]:
    """Lists of a group of a namespace and one of labels: each alone is meant, where those labels in that namespace often were."""
    for name, group in view.policy.groups.items():
        if pair := _slip(view, group.union):
            yield view.at_group(name, "warning", "either-or-both", _said("union", *pair))
    for rule in view.policy.rules:
        for key, words in (("from", rule.from_), ("to", rule.to)):
            if pair := _slip(view, words):
                yield view.at_rule(rule.name, "warning", "either-or-both", _said(key, *pair), key)


def _said(key: str, one: str, other: str) -> str:
    both = f"`intersection: [{one}, {other}]`"
    return f"`{key}` means those in `{one}` and those in `{other}`; for those that are in both write {both}"


def _slip(view: Linted, words: list[str]) -> tuple[str, str] | None:
    kinds = {word: _only(view.policy.groups[word]) for word in words if word in view.policy.groups}
    spaces = [word for word, kind in kinds.items() if kind == "namespace"]
    labels = [word for word, kind in kinds.items() if kind == "labels"]
    return (spaces[0], labels[0]) if len(words) == 2 and spaces and labels else None


def _only(group: Group) -> str:
    """`namespace` or `labels` where a group says nothing else."""
    said = group.model_fields_set
    return next(iter(said)) if len(said) == 1 and selector_of(group) is not None else ""
