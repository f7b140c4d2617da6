"""Who selectors mean, asked of many workloads at once: each part of a selector is asked once of each value that occurs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.members import Selector, Workload, means

Bools = NDArray[np.bool_]
Codes = NDArray[np.int32]

#: What is known of a workload, and what of a selector asks for it.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "labels": ("labels", "conditions"), "namespace": ("namespaces",), "kind": ("kinds",), "mac": ("macs",),
    "network": ("networks", "vnis"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class People:
    """Different ends by what is known of them: of each of PARTS a code into its values. claimed: whether anybody says who it is.

    labels: JSON, as in `workloads`, read by `labels_of`.
    """

    codes: Mapping[str, Codes]
    claimed: Bools
    values: Mapping[str, Sequence[str]]
    _known: dict[Selector, Bools] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.claimed)

    def meant(self, selector: Selector) -> Bools:
        """Which of them a selector means, as `members.means` says of each. Remembered: whatever policy asks again."""
        if selector not in self._known:
            out = np.ones(len(self), bool)
            for part, names in PARTS.items():
                asked = Selector(**{name: getattr(selector, name) for name in names})
                if asked != Selector():
                    truth = np.array([means(asked, _only(part, value)) for value in self.values[part]], bool)
                    out &= truth[self.codes[part]]
            if of_claimed(selector):
                out &= self.claimed
            self._known[selector] = out
        return self._known[selector]

    def workload(self, row: int) -> Workload:
        """One of them, as the plain evaluator takes it."""
        said = {part: self.values[part][int(self.codes[part][row])] for part in PARTS}
        labels = labels_of(said.pop("labels"))
        return Workload(labels, said["namespace"], said["mac"], said["network"], said["kind"], bool(self.claimed[row]))


def of_claimed(selector: Selector) -> bool:
    """Whether it asks for what only a workload that somebody claims has: all but its network."""
    return bool(selector.labels or selector.conditions or selector.namespaces or selector.kinds)


def labels_of(text: str | None) -> dict[str, str]:
    """Labels out of their JSON, which may be a stranger's. The one reading of them: what is drafted is judged by it, too.

    Numbers are as they are written, true and false those words; null, lists and objects are no labels.
    """
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    said = {key: str(value).lower() if isinstance(value, bool) else value for key, value in found.items()}
    return {key: value for key, value in said.items() if isinstance(value, str)}


def _only(part: str, value: str) -> Workload:
    return Workload(labels_of(value)) if part == "labels" else replace(Workload({}), **{part: value})  # type: ignore[arg-type]
