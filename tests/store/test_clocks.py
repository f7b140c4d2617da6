"""Clocks are told apart within the error that is said, and not at all from what proves nothing."""

import numpy as np
import pytest

from workbench.store.clocks import ONE_WAY, Clock, Evidence, estimate

DAY = 86_400_000_000.0
T0 = 1_700_000_000_000_000.0


def evidence(
    offset: float = 0.0,
    count: int = 200,
    *,
    seed: int = 1,
    span: float = 600e6,
    there: float = 80.0,
    back: float = 80.0,
    queues: float = 60.0,
    ppm: float = 0.0,
    lost: float = 0.0,
) -> Evidence:
    """Conversations opened from either side of a way that takes `there` and `back` microseconds, besides queues.

    lost: the part of them whose first packet one sensor did not see: it saw the next one, a second later.
    """
    random = np.random.default_rng(seed)
    true = T0 + np.sort(random.uniform(0, span, count))
    from_first = random.random(count) < 0.7
    to, fro = there + random.exponential(queues, count), back + random.exponential(queues, count)
    first = np.where(from_first, to, -fro)  # the packet that opens passes the sensors in one order or the other
    answer = np.where(from_first, -fro, to)
    gain = offset + ppm * 1e-6 * (true - T0)
    forward, backward = gain + first, gain + answer
    forward[random.random(count) < lost] += 1e6
    return Evidence(true + gain, forward, backward, np.ones(count, bool))


def truth(clock: Clock, offset: float, ppm: float, at: float) -> float:
    """How far off the clock is at a time by the second sensor's clock."""
    own = (at - offset - T0) / (1 + ppm * 1e-6)
    return abs(clock.offset + clock.drift * (at - clock.at) - (offset + ppm * 1e-6 * own))


@pytest.mark.parametrize("offset", [-DAY, -3_600e6, -1.5e6, -7.0, 0.0, 250.0, 40e6, DAY])
@pytest.mark.parametrize("ppm", [0.0, 40.0, -90.0])
@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_a_planted_offset_is_found_within_its_error(offset: float, ppm: float, lost: float) -> None:
    seen = evidence(offset, ppm=ppm, lost=lost, span=3_600e6)
    clock = estimate(seen)
    assert clock is not None
    assert clock.error < 500
    for at in (seen.at[0], seen.at[len(seen.at) // 2], seen.at[-1]):
        assert truth(clock, offset, ppm, at) <= clock.error
    assert clock.drift * 1e6 == pytest.approx(ppm, abs=1.0)


@pytest.mark.parametrize(("there", "back"), [(80.0, 80.0), (500.0, 20.0), (5.0, 2000.0), (0.0, 0.0)])
def test_the_error_covers_what_unequal_ways_do(there: float, back: float) -> None:
    clock = estimate(evidence(1e6, there=there, back=back, queues=3.0))
    assert clock is not None
    assert abs(clock.offset - 1e6) <= clock.error <= (there + back) / 2 + 20


def test_a_day_of_drift_goes_past_the_window_and_is_followed() -> None:
    seen = evidence(5e6, count=2000, ppm=80.0, span=DAY)
    clock = estimate(seen)
    assert clock is not None
    assert clock.count > 1900
    assert truth(clock, 5e6, 80.0, seen.at[-1]) <= clock.error < 500


def test_tuples_that_come_again_by_chance_give_nothing() -> None:
    random = np.random.default_rng(3)
    at = T0 + random.uniform(0, DAY, 3000)
    forward = random.uniform(-DAY, DAY, 3000)
    nothing = Evidence(at, forward, forward + 100, np.ones(3000, bool))
    assert estimate(nothing) is None
    true = evidence(7e6, 600)
    both = Evidence(*(np.concatenate([getattr(true, n), getattr(nothing, n)]) for n in ("at", "forward", "back", "strong")))
    clock = estimate(both)
    assert clock is not None
    assert abs(clock.offset - 7e6) <= clock.error


def test_two_offsets_with_as_much_behind_them_give_none() -> None:
    one, other = evidence(0.0, 100), evidence(60e6, 90, seed=2)
    both = Evidence(*(np.concatenate([getattr(one, n), getattr(other, n)]) for n in ("at", "forward", "back", "strong")))
    assert estimate(both) is None


@pytest.mark.parametrize(
    ("offset", "count", "strong", "known"),
    [(100.0, 1, True, True), (100.0, 1, False, False), (30e6, 2, True, False), (30e6, 3, False, True), (0.0, 0, True, False)],
)
def test_little_evidence_is_believed_near_no_offset_only(offset: float, count: int, strong: bool, known: bool) -> None:
    seen = evidence(offset, count)
    seen = Evidence(seen.at, seen.forward, seen.back, np.full(count, strong))
    assert (estimate(seen) is not None) == known


def test_where_one_direction_is_known_its_way_is_part_of_the_error() -> None:
    seen = evidence(2e6, 50)
    clock = estimate(Evidence(seen.at, seen.forward, np.full(50, np.nan), seen.strong))
    assert clock is not None
    assert abs(clock.offset - 2e6) <= clock.error
    assert clock.error >= ONE_WAY


def test_clocks_are_turned_round_and_put_one_after_the_other() -> None:
    b = Clock(3e6, 10.0, 40e-6, T0 + 100e6, 50)  # b minus a, by b
    c = Clock(-2e9, 5.0, -20e-6, T0, 20)  # c minus b, by c

    def plus(clock: Clock, t: float) -> float:
        return clock.offset + clock.drift * (t - clock.at)

    for t in (T0 - 50e6, T0 + 3e9):
        at_b = t - plus(c, t)
        at_a = at_b - plus(b, at_b)
        assert plus(c.beyond(b), t) == pytest.approx(t - at_a, abs=1)
        assert plus(b.reversed(), at_a) == pytest.approx(at_a - at_b, abs=1)
    assert (c.beyond(b).error, c.beyond(b).count) == (15.0, 20)
