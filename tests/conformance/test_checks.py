"""Every comparison agrees, or differs for a cause that is written down (causes.py, docs/conformance.md)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import needs
from tests.conformance import oracle
from tests.conformance.causes import CAUSES
from tests.conformance.checks import CHECKS, Check

#: In one process, which reads every capture once for all of them.
pytestmark = [pytest.mark.conformance, pytest.mark.slow, pytest.mark.xdist_group("readings")]


@pytest.mark.parametrize("compare", CHECKS, ids=lambda check: check.__name__)
def test_every_difference_has_a_cause_and_every_cause_a_difference(compare: Callable[[], Check]) -> None:
    if compare.__name__ in ("totals", "pairs") and oracle.missing():
        said = f"not installed: {', '.join(oracle.missing())}"
        if needs.required():
            pytest.fail(said)
        pytest.skip(said)
    check = compare()
    assert check.total
    unexplained = [d for d in check.differences if (check.name, d[0]) not in CAUSES]
    assert not unexplained
    stale = {capture for name, capture in CAUSES if name == check.name} - {capture for capture, _ in check.differences}
    assert not stale
