"""The audit log as rows, what is wrong with it among them, and what it rests on in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from workbench.tui import figures

if TYPE_CHECKING:
    from workbench.audit.log import Entry
    from workbench.workflows.trail import Standing

HEADINGS: Final = (("line", 4), ("when, UTC", 14), ("who", 10), ("action", 14), ("target", 8), ("digest", 12), ("why", 8))
#: Lines that are wrong, as far as they are told.
_WRONG: Final = 50
#: Of a line's detail: what has a column of its own.
_OWN: Final = frozenset({"target", "digest", "why"})


def cells_of(entry: Entry, wrong: str) -> tuple[str, ...]:
    """Line, time, who, action, target, digest, why, or all else that the line says. wrong: what is wrong with it."""
    detail = entry.detail
    rest = ", ".join(f"{name} {str(value)[:200]}" for name, value in detail.items() if name not in _OWN)
    why = "; ".join(part for part in (wrong, str(detail.get("why") or ""), rest) if part)
    return (
        f"{entry.seq}",
        entry.ts[5:19].replace("T", " "),
        entry.actor[:80],
        f"{'✗ ' if wrong else ''}{entry.action[:80]}",
        str(detail.get("target") or figures.NOTHING)[:80],
        str(detail.get("digest") or figures.NOTHING)[:12],
        why[:300],
    )


def broken(line: int, what: str) -> tuple[str, ...]:
    """The cells of a line that can't be read."""
    return (f"{line}", "", "", "✗ BROKEN", "", "", what[:300])


def whole(entry: Entry, about: str) -> Mapping[str, Any]:
    """Every field of a line, by name; about: what its action means."""
    detail = {f"detail.{name}": value if isinstance(value, str) else str(value) for name, value in entry.detail.items()}
    first = {"line": str(entry.seq), "when": entry.ts, "who": entry.actor, "action": f"{entry.action}: {about}"}
    return {**first, **detail, "prev": entry.prev, "hash": entry.hash}


def wrong_lines(standing: Standing | None) -> dict[int, str]:
    """What is wrong, by line; 0 for what no line can be named of."""
    found: dict[int, str] = {}
    for one in standing.verdict.problems if standing is not None else ():
        found.setdefault(one.line, one.what)
    return found


def standing_words(standing: Standing | None, elsewhere: str) -> Sequence[str]:
    """What the log rests on; lines with ✗ are bad. elsewhere: where pushes without a case are, '' for nowhere."""
    if standing is None:
        return []
    verdict = standing.verdict
    if verdict.ok:
        words = [f"✓ The audit log is intact: {verdict.entries:,} lines, head {verdict.entries}:{verdict.head[:16]}"]
    else:
        words = [f"✗ The audit log is BROKEN; {verdict.entries:,} good lines"]
        words += [f"✗ line {one.line}: {one.what}" for one in verdict.problems[:_WRONG]]
    last = max([0, *(line for line, _ in standing.signed), *(line for line, _ in standing.anchored)])
    words += [_signed_words(standing), *([_anchored_words(standing)] if standing.anchored else [])]
    after = verdict.entries - (verdict.vouched if standing.checked else last)
    if after > 0 and verdict.ok:
        words.append(f"{after:,} lines came after: that they were cut off could not be found")
    words += [] if standing.checked else ["V checks signatures and anchors"]
    return [*words, *([f"pushes without a case: workbench audit show --case {elsewhere}"] if elsewhere else [])]


def _signed_words(standing: Standing) -> str:
    if not standing.signed:
        return "no head of it was signed"
    line, who = max(standing.signed)
    if not standing.checked:
        return f"signed by {who} up to line {line}, not checked yet"
    if standing.verdict.vouched >= line:
        return f"signed by {who} up to line {line}: the signature holds"
    if standing.verdict.unchecked >= line:
        return f"signed by {who} up to line {line}: nobody can say, for audit.allowed_signers is not set"
    return f"✗ signed by {who} up to line {line}: that does not hold"


def _anchored_words(standing: Standing) -> str:
    line, where = max(standing.anchored)
    state = (
        "not asked yet" if not standing.checked else "as it is there" if standing.verdict.vouched >= line else "not found there"
    )
    return f"anchored up to line {line} in {where}: {state}"
