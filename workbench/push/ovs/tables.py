"""Our tables on a bridge, the values of our register and cookies. docs/compile.md tells a packet's way through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workbench.errors import PolicyError
from workbench.push.compiled import OvsLayout

#: What the register says while a packet is with us: judged as it goes, judged as a reply; done; and whose number it is.
AS_IT_GOES: Final = 1 << 28
AS_A_REPLY: Final = 2 << 28
DONE: Final = 8 << 28
PHASE: Final = 0xF0000000
NUMBER: Final = 0x00FFFFFF
#: In the register after a table of replies that nothing matched.
NOBODY: Final = 0x00FFFFFF

#: The hook in table 0 comes before every flow of others.
HOOK_PRIORITY: Final = 65535
#: Rules of one stage, each with a priority of its own.
MOST_RULES: Final = 60_000
_FIRST_RULE: Final = 65_000
STAGES: Final = 6


@dataclass(frozen=True, slots=True)
class Tables:
    """Numbers of tables. judge and reply: the first of six each, one a stage."""

    layout: OvsLayout

    @property
    def entry(self) -> int:
        """IP of the ends we serve goes on, the rest passes."""
        return self.layout.table

    @property
    def track(self) -> int:
        """Into connection tracking, but for neighbour discovery."""
        return self.layout.table + 1

    @property
    def state(self) -> int:
        """What connection tracking says of the packet."""
        return self.layout.table + 2

    @property
    def verdict(self) -> int:
        """What becomes of it, by the number in the register."""
        return self.layout.table + 3

    @property
    def established(self) -> int:
        """Packets of connections that were let in, counted by the rule that did."""
        return self.layout.table + 4

    @property
    def passing(self) -> int:
        """On to the flows of others, as if we had not been there."""
        return self.layout.table + 5

    def judge(self, stage: int) -> int:
        """The rules of a stage."""
        return self.layout.table + 6 + stage

    def reply(self, stage: int) -> int:
        """The same for replies, up to the last rule that cuts."""
        return self.layout.table + 6 + STAGES + stage

    @property
    def last(self) -> int:
        """The last number that is ours."""
        return self.layout.table + 5 + 2 * STAGES

    @property
    def register(self) -> str:
        """The name of our register in matches."""
        return f"reg{self.layout.register}"

    def cookie(self, number: int) -> int:
        """The cookie, and the connection's label, of a rule."""
        return self.layout.ours << 32 | number


def tables_of(layout: OvsLayout) -> Tables:
    """The tables of a layout. PolicyError where a bridge has no such tables, zone or register."""
    tables = Tables(layout)
    if not 1 <= layout.table <= tables.last <= 253:
        raise PolicyError(f"tables {layout.table} to {tables.last}: a bridge has 1 to 253 for us", "Choose another first table.")
    if not 0 <= layout.register <= 15 or not 1 <= layout.zone <= 65535 or not 0 < layout.ours < 1 << 32:
        raise PolicyError(f"no register, zone or cookie of a bridge: {layout}", "reg0 to reg15; zones 1 to 65535; 32 bits.")
    return tables


def priority(place: int) -> int:
    """The priority of the rule at a place of its stage, from 0."""
    return _FIRST_RULE - place


def in_register(phase: int, number: int) -> int:
    """The register's value for a rule."""
    return phase | number & NUMBER
