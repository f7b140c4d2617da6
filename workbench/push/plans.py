"""A plan: the bundle that a DPU will be sent, the signatures under it, and what a person should read before signing.

What is signed are the bytes of the bundle, canonical JSON (docs/push.md). What is shown beside it is for people and not signed;
whoever signs can have all of it made anew from the bundle and the case.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from workbench.errors import MissingPathError, PlanError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Resolver, Selector
from workbench.push.resident import workbench_dpu as dpu

_FORMAT: Final = "workbench-plan"
_MOST: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """bundle: canonical text. shown: what was found when it was planned. case: the case it was judged by, '' for none."""

    bundle: str
    shown: Mapping[str, Any] = field(default_factory=dict)
    case: str = ""
    signature: str = ""
    approval: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of what is signed."""
        return dpu.digest(self.bundle.encode())

    def content(self) -> dict[str, Any]:
        """The bundle's fields. PlanError where it is not what a resident would take."""
        try:
            return dpu.parse_bundle(self.bundle)
        except dpu.Refused as error:
            raise PlanError(f"the plan's bundle: {error.message}", "Plan again.") from error


def read_plan(path: Path) -> Plan:
    """The plan in a file. MissingPathError, PlanError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise MissingPathError(f"{path} cannot be read: {error.strerror}") from error
    try:
        said = dpu.parse_object(data, "malformed", str(path))
        if len(data) > _MOST or said.pop("format", "") != _FORMAT or said.pop("version", 0) != 1:
            raise ValueError("another format")
        plan = Plan(**said)
        if not all(isinstance(one, str) for one in (plan.bundle, plan.case, plan.signature, plan.approval)):
            raise ValueError("a field of another kind")
    except (dpu.Refused, ValueError, TypeError) as error:
        raise PlanError(f"{path} is no plan", "`workbench push plan -o PLAN` writes one.") from error
    plan.content()
    return plan


def write_plan(path: Path, plan: Plan) -> None:
    """The file, whole or as it was. MissingPathError where it can't be written."""
    text = json.dumps({"format": _FORMAT, "version": 1, **asdict(plan)}, indent=1, sort_keys=True) + "\n"
    made = ""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise MissingPathError(f"{path} is no file: a plan is read again and again", "Name a file for it.")
    try:
        fd, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(fd, "w") as out:
            out.write(text)
        Path(made).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(made).unlink()
        raise MissingPathError(f"{path} cannot be written: {error.strerror}") from error


def selector_text(selector: Selector) -> str:
    """A selector as the bundle names it."""
    return dpu.canonical(asdict(selector)).decode()


class Recorded:
    """A resolver that remembers what it answered, so that the bundle can say who was meant."""

    def __init__(self, inner: Resolver) -> None:
        self._inner = inner
        self.answers: dict[str, AddressSet] = {}

    def __call__(self, selector: Selector, at: Any) -> AddressSet:
        """As the resolver within."""
        text = selector_text(selector)
        if text not in self.answers:
            self.answers[text] = self._inner(selector, at)
        return self.answers[text]

    def of(self, text: str) -> AddressSet:
        """What was answered to a selector in text. PlanError where nobody asked for it."""
        if text not in self.answers:
            raise PlanError("the bundle names a group that its policy does not have", "Plan and push it anew.")
        return self.answers[text]

    def sets(self, source: str, bound: Sequence[str], lease: int) -> dict[str, Any]:
        """The bundle's sets: s1, s2 and so on."""
        return {
            f"s{n}": {"selector": text, "source": source, "bound": list(bound), "members": prefixes(found), "lease": lease}
            for n, (text, found) in enumerate(sorted(self.answers.items()), 1)
        }


def answering(sets: Mapping[str, Any]) -> Resolver:
    """A resolver that answers as a bundle's sets say; nobody for anything else."""
    known = {
        one["selector"]: addresses.of_ranges(part for text in one["members"] for part in addresses.prefix(text).ranges)
        for one in sets.values()
    }
    return lambda selector, _at: known.get(selector_text(selector), addresses.NONE)


def prefixes(found: AddressSet) -> list[str]:
    """As prefixes with their lengths, as a bundle has them."""
    return [str(ipaddress.ip_network(text)) for text in found.texts()]
