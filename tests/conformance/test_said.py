"""Fingerprints that others published, and services as Zeek and nDPI name them: every difference has its cause written down."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.field_causes import PRINTS, cause_of_service
from tests.conformance.fingerprints import expected, missing
from tests.conformance.services import Beside, ndpi, zeek

pytestmark = pytest.mark.conformance


def test_published_fingerprints_are_made() -> None:
    published = expected()
    assert {one.kind for one in published} >= {"ja3", "ja3s", "ja4"}
    assert {(one.capture, one.value) for one in missing(published)} == PRINTS.keys()


@pytest.mark.parametrize("compare", [zeek, ndpi])
def test_services_differ_for_known_causes(compare: Callable[[], Beside]) -> None:
    beside = compare()
    assert beside.count("agree") > 10
    for outcome in ("we say more", "we say nothing", "differ"):
        for theirs, ours in beside.of[outcome]:
            assert cause_of_service(beside.name, theirs, ours) != "**not known**", (theirs, ours)
