"""Whatever breaks, at whichever step: exactly the old or exactly the new rules, the old ones in the end unless confirmed."""

from __future__ import annotations

from pathlib import Path

from tests.push.resident import faults
from tests.push.resident.people import People

PAGE = Path(__file__).parents[3] / "docs" / "push.md"


def test_faults_lead_to_what_the_document_says(people: People) -> None:
    with faults.quick_folder() as folder:
        found = list(faults.outcomes(people, folder))
    kept = {"the switch restarts after the confirmation", "the DPU reboots after the confirmation"}
    kept |= {"two people push one after the other, planned against the same"}
    for one in found:
        assert set(one.later.split(" or ")) <= {"old", "new"}, one
        if "confirms" in one.fault or "what was confirmed" in one.fault:
            assert one.steps > 3
        else:
            assert one.later == ("new" if one.fault in kept else "old"), one
        if "restarts" not in one.fault and "reboots" not in one.fault:
            assert set(one.after.split(" or ")) <= {"old", "new"}, one
    assert faults.table(found) in PAGE.read_text(), "run python -m tests.push.resident.faults"
