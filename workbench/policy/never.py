"""What must never be let through, in words: `A -> B : service`."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.policy import services
from workbench.policy.addresses import AddressSet, of_ranges
from workbench.policy.loader import unknown
from workbench.policy.members import Members
from workbench.policy.model import Policy
from workbench.policy.resolved import boxes_of
from workbench.policy.services import Box


@dataclass(frozen=True, slots=True)
class Path:
    """From any of `src` to any of `dst`, by any of `services`; peers as in rules."""

    src: tuple[str, ...]
    dst: tuple[str, ...]
    services: tuple[str, ...] = ("any",)

    def packets(self, members: Members) -> tuple[AddressSet, AddressSet, tuple[Box, ...]]:
        """Its ends as sets of addresses, and its boxes."""
        ends = [of_ranges(part for word in words for part in members.peer(word).ranges) for words in (self.src, self.dst)]
        return ends[0], ends[1], boxes_of(list(self.services))


def parse(text: str, policy: Policy) -> Path:
    """`A -> B : service`; several of each with commas, without a service all of them. ValueError names what is wrong."""
    src, arrow, rest = text.partition("->")
    if not arrow or "->" in rest:
        raise ValueError(f"`{text}` is no path: write `A -> B : service`")
    to, served = _split(rest, policy)
    path = Path(_words(src), _words(to), _words(served) or ("any",))
    if not path.src or not path.dst:
        raise ValueError(f"`{text}` has no {'beginning' if not path.src else 'end'}: write `A -> B : service`")
    for word in (*path.src, *path.dst):
        if why := unknown(word, policy):
            raise ValueError(why)
    for word in path.services:
        services.parse(word)
    return path


def _split(rest: str, policy: Policy) -> tuple[str, str]:
    """End and service; addresses of IPv6 have colons as well."""
    end, colon, served = rest.rpartition(" : ")
    if colon:
        return end, served
    end, colon, served = rest.rpartition(":")
    if colon and not any(unknown(word, policy) for word in _words(end)) and served.strip():
        return end, served
    return rest, ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
