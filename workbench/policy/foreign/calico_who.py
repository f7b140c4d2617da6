"""Whom Calico's selectors mean: pods of the index, and the network sets of the input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from workbench.policy.foreign import calico_selector as language
from workbench.policy.foreign import who
from workbench.policy.foreign.calico_selector import Everything, Selected, SelectorError
from workbench.policy.foreign.cluster import NAME_LABEL, Cluster, cidr
from workbench.policy.foreign.objects import Field, Object
from workbench.policy.foreign.who import ANYBODY, NOBODY, PODS, Loads, Who
from workbench.policy.members import Condition, Selector, Workload, means

#: Labels that Calico gives: of a workload its namespace and its manager; of a namespace its name.
NAMESPACE: Final = "projectcalico.org/namespace"
_ORCHESTRATOR: Final = "projectcalico.org/orchestrator"
_NAME: Final = "projectcalico.org/name"
_SPACE_PREFIX: Final = "pcns."
_NOT_LABELS: Final = ("projectcalico.org/", "pcsa.")


def parsed(said: Field) -> Selected:
    """A selector; a Refusal where it is none."""
    try:
        return language.parse(said.text())
    except SelectorError as error:
        raise said.wrong(str(error)) from None


def pods(said: Field | None, cluster: Cluster) -> Who:
    """The pods that a selector means; everyone of them where there is none."""
    return PODS if said is None else language.who_of(parsed(said), lambda condition: _pod_leaf(condition, said, cluster))


def spaces(said: Field | None, cluster: Cluster) -> Who:
    """The pods of the namespaces that a namespaceSelector means."""
    return PODS if said is None else language.who_of(parsed(said), lambda condition: _space_leaf(condition, said, cluster))


def entity(said: Field, namespace: str, cluster: Cluster) -> Who:
    """Source or destination of a rule: all of its parts must hold. namespace: of the policy, '' where it has none."""
    said.refuse("who a service account belongs to is not in the index", "serviceAccounts")
    said.refuse("what a service stands for is not known", "services")
    said.only("nets", "notNets", "selector", "notSelector", "namespaceSelector", "ports", "notPorts")
    chosen, outside, wide = (said.get(key) for key in ("selector", "notSelector", "namespaceSelector"))
    parts: list[Who] = []
    if (nets := said.get("nets")) is not None and nets.items():
        parts.append(who.nets(cidr(net) for net in nets.items()))
    chosen, outside, wide = (one if one is None or one.text().strip() else None for one in (chosen, outside, wide))
    if wide is not None:
        parts.append(who.union([who.both(spaces(wide, cluster), pods(chosen, cluster)), _sets(chosen, wide, "", cluster)]))
    elif chosen is not None:
        own: Who = Loads((namespace,)) if namespace else PODS
        parts.append(who.union([who.both(own, pods(chosen, cluster)), _sets(chosen, None, namespace, cluster)]))
    found = who.both(*parts) if parts else ANYBODY
    if outside is not None:  # of every namespace: nothing narrows it
        found = who.minus(found, who.union([pods(outside, cluster), _sets(outside, None, "", cluster)]))
    return who.minus(found, who.nets(cidr(net) for net in said.listed("notNets")))


def _pod_leaf(condition: Condition, said: Field, cluster: Cluster) -> Who:
    key = condition.key
    if key == NAMESPACE:
        return cluster.spaces_of([condition._replace(key=NAME_LABEL)], said)
    if key == _ORCHESTRATOR:
        return PODS if means(Selector(conditions=(condition,)), Workload({key: "k8s"})) else NOBODY
    if key.startswith(_SPACE_PREFIX):
        return _space_leaf(condition._replace(key=key[len(_SPACE_PREFIX) :]), said, cluster)
    if key.startswith(_NOT_LABELS):
        raise said.wrong(f"`{key[:60]}` is no label that pods have in the index")
    return Loads((), (condition,))


def _space_leaf(condition: Condition, said: Field, cluster: Cluster) -> Who:
    return cluster.spaces_of([condition._replace(key=NAME_LABEL) if condition.key == _NAME else condition], said)


def _sets(chosen: Field | None, wide: Field | None, namespace: str, cluster: Cluster) -> Who:
    """The prefixes of the network sets that are meant. namespace: the only one they may be of."""
    wanted = parsed(chosen) if chosen is not None else Everything()
    around = parsed(wide) if wide is not None else None
    found: list[Who] = []
    for one, labels in _every_set(cluster):
        if namespace and one.namespace != namespace:
            continue
        space = _space_labels(one, cluster, wanted, around, chosen or wide)
        if around is not None and wide is not None and not _in_space(around, one, space, wide):
            continue
        inherited = {_SPACE_PREFIX + key: value for key, value in space.items()}
        own = {**labels, **inherited, **({NAMESPACE: one.namespace} if one.namespace else {})}
        if language.holds(wanted, own, one.namespace):
            found.append(who.nets(cidr(net) for net in one.spec().only("nets").listed("nets")))
    return who.union(found)


def _in_space(around: Selected, one: Object, space: dict[str, str], said: Field) -> bool:
    """Whether the namespace of a set is meant. `all()` is every namespace, `global()` none; what else means none differs."""
    if one.namespace:
        return language.holds(around, space, one.namespace)
    if isinstance(around, Everything | language.Global):
        return isinstance(around, language.Global)
    if language.holds(around, {}, ""):
        raise said.wrong(f"whether this means {one.title()[:80]}, which is in no namespace, differs between versions")
    return False


def _space_labels(one: Object, cluster: Cluster, wanted: Selected, around: Selected | None, said: Field | None) -> dict[str, str]:
    """Labels of the namespace of a set; a Refusal where they are asked for and not in the input."""
    if not one.namespace:
        return {}
    known = {**cluster.namespaces.get(one.namespace, {}), _NAME: one.namespace, NAME_LABEL: one.namespace}
    asked = {*(language.keys(around) if around is not None else ())}
    asked |= {key[len(_SPACE_PREFIX) :] for key in language.keys(wanted) if key.startswith(_SPACE_PREFIX)}
    if asked - {_NAME, NAME_LABEL} and one.namespace not in cluster.namespaces and said is not None:
        raise said.wrong(f"labels of namespaces are not in the index: give the Namespace {one.namespace[:60]} too")
    return known


def _every_set(cluster: Cluster) -> Iterator[tuple[Object, dict[str, str]]]:
    for kind in ("NetworkSet", "GlobalNetworkSet"):
        for one in cluster.facts.get(kind, []):
            if (kind == "NetworkSet") != bool(one.namespace):
                raise one.body.need("metadata").missing("namespace", "wrong for this kind")
            labels = one.body.need("metadata").get("labels")
            yield one, labels.texts() if labels is not None else {}
