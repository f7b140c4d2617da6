"""What a live source makes of whatever comes through its pipe: more of the same is `python -m tests.fuzz.fuzz_live`."""

from __future__ import annotations

from tests.fuzz.fuzz_live import main


def test_fuzz_rounds_by_seed() -> None:
    main(60, 4000)
