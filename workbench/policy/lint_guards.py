"""What a network cannot do without, and a default deny takes away where nobody thinks of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.asking import Asked
from workbench.policy.linted import Finding, Linted
from workbench.policy.model import Rule
from workbench.policy.resolved import boxes_of
from workbench.policy.symbolic import BLOCKED


@dataclass(frozen=True, slots=True)
class Guard:
    """A path of which something must get through. dst: None is whatever is internal, as the source always is.

    name: what is missing, for the code (`guard-NAME`); why: what breaks without it.
    """

    name: str
    services: tuple[str, ...]
    why: str
    severity: str = "warning"
    dst: AddressSet | None = None
    family: AddressSet = addresses.ANY


_ND: Final = ("icmp6/neighbour-solicitation", "icmp6/neighbour-advertisement")
_EXPORT: Final = ("ipfix", "netflow", "sflow")

#: Under every policy. ARP has no IP addresses: no rule can mean it, and every target lets it through.
USUAL: Final = (
    Guard("dns", ("dns",), "names cannot be asked of name servers inside"),
    Guard("nd", _ND, "neighbours of IPv6 lose each other (ARP always passes)", family=addresses.V6),
    Guard("dhcp", ("udp/67-68",), "leases of IPv4 addresses cannot be renewed", family=addresses.V4),
    Guard("dhcp6", ("dhcp6",), "leases of IPv6 addresses cannot be renewed", "note", family=addresses.V6),
)
#: Where the settings name no target, whose paths could be looked at.
UNKNOWN: Final = (
    Guard(
        "management", ("ssh",), "a DPU inside could not be reached any more; [targets] in the settings say where they are", "note"
    ),
    Guard("telemetry", _EXPORT, "flow records of a DPU inside could not be exported any more; [targets] say to where", "note"),
)
_GUARDING: Final = ("dns", "dhcp", "dhcp6", "icmp", "icmp6", "ntp", "ssh", *_EXPORT)


def missing(view: Linted, guards: Sequence[Guard]) -> Iterator[Finding]:
    """Guards of which no packet gets through; exact. guards: paths of one's own, instead of UNKNOWN."""
    inside = view.members.internal
    every = (*USUAL, *(guards or UNKNOWN))
    products = []
    for guard in every:
        src = inside & guard.family
        dst = inside & guard.family if guard.dst is None else guard.dst & guard.family
        products.append((src, dst, boxes_of(list(guard.services))))
    asked = Asked(view.resolved, products)
    for n, guard in enumerate(every):
        verdicts = asked.verdicts(n)
        if verdicts and verdicts <= BLOCKED:
            to = "between internal ends" if guard.dst is None else f"from internal ends to {', '.join(guard.dst.texts())}"
            said = f"nothing lets {', '.join(guard.services)} through {to}: {guard.why}"
            yield view.at_key("rules", guard.severity, f"guard-{guard.name}", said)


def is_guard(rule: Rule) -> bool:
    """Whether a rule only keeps open what networks cannot do without: it is not useless because history has none of it."""
    return rule.action == "allow" and all(
        any(_inside(box, whole) for whole in boxes_of(list(_GUARDING))) for box in boxes_of(rule.services)
    )


def _inside(box: tuple[tuple[int, int], ...], whole: tuple[tuple[int, int], ...]) -> bool:
    return all(w[0] <= b[0] and b[1] <= w[1] for b, w in zip(box, whole, strict=True))
