"""Sets of services against sets of points."""

from hypothesis import given
from hypothesis import strategies as st

from workbench.policy.foreign import ports
from workbench.policy.foreign.ports import ALL, Services
from workbench.policy.services import parse

PROTOS = (0, 1, 6, 47, 255)
POINTS = [(proto, n) for proto in PROTOS for n in (0, 1, 2, 3, 254, 255, 256, 65534, 65535) if n <= ports.most(proto)]


@st.composite
def sets(draw: st.DrawFn) -> Services:
    spans = []
    for _ in range(draw(st.integers(0, 4))):
        proto = draw(st.sampled_from(PROTOS))
        edges = [n for p, n in POINTS if p == proto]
        first, last = sorted((draw(st.sampled_from(edges)), draw(st.sampled_from(edges))))
        spans.append((proto, (first, last) if proto in (1, 6) else (0, 65535)))
    return ports.of(spans)


def points(one: Services) -> set[tuple[int, int]]:
    return {(proto, n) for proto, n in POINTS if any(a <= n <= b for p, spans in one.parts if p == proto for a, b in spans)}


@given(sets(), sets())
def test_they_behave_as_sets_do(one: Services, other: Services) -> None:
    assert points(one | other) == points(one) | points(other)
    assert points(one & other) == points(one) & points(other)
    assert points(one - other) == points(one) - points(other)
    assert points(one.complement()) == set(POINTS) - points(one)
    assert one | one.complement() == ALL
    assert bool(one) == bool(points(one))


@given(sets())
def test_their_texts_mean_them(one: Services) -> None:
    boxes = [box for text in one.texts() for box in parse(text)]
    found = {
        (proto, n)
        for proto, n in POINTS
        for box in boxes
        if box.proto[0] <= proto <= box.proto[1] and (box.sport if proto == 1 else box.dport)[0] <= n
        and n <= (box.sport if proto == 1 else box.dport)[1]
    }  # fmt: skip
    assert found == points(one)
