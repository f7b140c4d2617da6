"""What of a policy's words may reach a dataplane, and what could only be meant to break out of one.

Of all its texts only ids of rules, `policy/rule`, are written where a dataplane reads them (comments and log prefixes of nft);
every other name there is made by the compilers, so that no word of a policy can be a keyword. Ids are checked again before
that: a policy may have been made without the loader.
"""

from __future__ import annotations

import re
from typing import Final

from workbench.errors import PolicyError
from workbench.policy.marked import Place
from workbench.policy.model import Policy
from workbench.policy.resolved import Resolved
from workbench.records.visible import visible

_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}/[A-Za-z(][A-Za-z0-9_.)-]{0,62}")
#: What an id may be at most: nft's comments and log prefixes hold 127 bytes.
LONGEST_ID: Final = 127
#: Ends a quoted word, a command or a line somewhere: shell, nft, ovs-ofctl, ssh.
_BREAKING: Final = re.compile(r"""[\x00-\x1f\x7f-\x9f"'`\\;${}|&<>\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]""")


def unfit_id(rule_id: str) -> str:
    """Why an id can't be written on a target; '' where it can."""
    if len(rule_id) > LONGEST_ID:
        return f"`{visible(rule_id[:60])}...` is too long: a target holds {LONGEST_ID} characters"
    if not _ID.fullmatch(rule_id):
        return f"`{visible(rule_id)}` is no id of a rule: letters, digits, `_`, `.`, `-`, and a letter first"
    return ""


def check_names(resolved: Resolved) -> None:
    """PolicyError with every id that can't be written on a target."""
    ids = [f"{resolved.name}/default", *(meant.rule_id for meant in resolved.rules)]
    wrong = list(dict.fromkeys(why for why in map(unfit_id, ids) if why))
    seen: set[str] = set()
    wrong += [f"`{rule_id}` is the id of two rules" for rule_id in ids if rule_id in seen or seen.add(rule_id)]  # type: ignore[func-returns-value]
    if wrong:
        raise PolicyError("\n".join(wrong[:50]), "Mend the names; docs/policy.md says what a name is.")


def breaking(policy: Policy) -> list[tuple[Place, str]]:
    """Texts with characters that end words or commands elsewhere, and where they are. None of them reaches a target."""
    said: list[tuple[Place, str]] = []
    for name, group in policy.groups.items():
        said += [(("groups", name, "namespace", i), text) for i, text in enumerate(group.namespace)]
        said += [(("groups", name, "network", i), text) for i, text in enumerate(group.network)]
        if group.labels is not None:
            said += [(("groups", name, "labels"), text) for pair in group.labels.matchLabels.items() for text in pair]
            said += [(("groups", name, "labels"), t) for e in group.labels.matchExpressions for t in (e.key, *e.values)]
    found = [(place, text, match) for place, text in said if (match := _BREAKING.search(text))]
    return [
        (place, f"`{visible(text[:60])}` has `{visible(match[0])}`, which no name has and an attack may")
        for place, text, match in found
    ]
