"""What is wrong or odd about a policy that loads: exact where it is about packets, with the line it is written on.

Where no case says who has a label, workloads stand in (`stand_ins`), and nothing is claimed that would only hold for them.
docs/policy.md lists the codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from workbench.policy import lint_groups, lint_guards, lint_rules, lint_words
from workbench.policy.lint_guards import Guard
from workbench.policy.linted import SEVERITIES, Finding, Linted
from workbench.policy.loader import Loaded, Problem
from workbench.policy.members import Resolver

__all__ = ["SEVERITIES", "Finding", "Guard", "lint", "of_problems"]


def lint(
    loaded: Loaded, resolver: Resolver | None = None, at: datetime | None = None, guards: Sequence[Guard] = ()
) -> list[Finding]:
    """All findings, the worst first, then by file and line.

    resolver: who is known, None where no case is asked. at: members and expiry as of then, default now. guards: paths that must
    stay open, beside those that every network needs.
    """
    view = Linted(loaded, resolver, at or datetime.now(UTC))
    return _in_order(_all(view, guards))


def of_problems(problems: Iterable[Problem]) -> list[Finding]:
    """Why a policy does not load, as findings of the code `schema`."""
    return _in_order(Finding("error", "schema", f"{p.key}: {p.why}" if p.key else p.why, p.file, p.line) for p in problems)


def _all(view: Linted, guards: Sequence[Guard]) -> Iterator[Finding]:
    yield from lint_rules.contradictory(view)
    yield from lint_rules.without_effect(view)
    yield from lint_rules.ended(view)
    yield from lint_rules.wide(view)
    yield from lint_groups.nobody_in_it(view)
    yield from lint_groups.contested(view)
    yield from lint_groups.one_family(view)
    yield from lint_groups.unused(view)
    yield from lint_groups.either_for_both(view)
    yield from lint_guards.missing(view, guards)
    yield from lint_words.names(view)
    yield from lint_words.tests(view)
    yield from lint_words.inside(view)


def _in_order(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: (SEVERITIES.index(f.severity), f.file, f.line, f.code, f.rule))
