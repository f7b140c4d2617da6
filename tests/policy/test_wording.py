"""Sets of addresses are called as the policy calls them, and written as prefixes or spans where it has no name for them."""

from tests.policy.test_loader import EXAMPLE
from workbench.policy import addresses, services, wording
from workbench.policy.addresses import prefix
from workbench.policy.loader import load
from workbench.policy.members import Members
from workbench.policy.symbolic import Difference, Example, Row, Rows
from workbench.policy.wording import Names


def names() -> Names:
    policy = load([("esxi.yaml", EXAMPLE)]).policy
    out = Names({addresses.address("10.255.0.1"): "app=train"})
    out.learn(Members(policy), policy.groups)
    return out


def test_names_of_groups_and_of_their_families() -> None:
    known = names()
    assert known.text(prefix("10.20.0.0/24") | prefix("fd00:20::/64")) == "hypervisors"
    assert known.text(prefix("fd00:20::/64")) == "hypervisors (IPv6)"
    assert known.text(addresses.ANY) == "any"
    assert known.text(addresses.V4) == "any (IPv4)"
    assert known.text(addresses.V4 - prefix("10.20.0.0/24")) == "any (IPv4) but hypervisors (IPv4)"
    assert known.text(addresses.V6 - prefix("fd00::1")) == "any (IPv6) but fd00::1"


def test_what_stands_in_is_described() -> None:
    assert names().text(prefix("10.255.0.1") | prefix("10.1.0.0/16")) == "app=train, 10.1.0.0/16"


def test_prefixes_and_spans() -> None:
    assert wording.prefixes(prefix("10.0.0.0/24")) == "10.0.0.0/24"
    assert (
        wording.prefixes(addresses.of_ranges([(addresses.address("10.0.0.1"), addresses.address("10.0.0.6"))]))
        == "10.0.0.1-10.0.0.6"
    )
    assert wording.prefixes(addresses.V6) == "::/0"
    assert wording.prefixes(addresses.V4) == "0.0.0.0/0"
    assert wording.prefixes(addresses.NONE) == "nobody"
    many = addresses.of_ranges((n, n) for n in range(0, 40, 2))
    assert wording.prefixes(many, 2) == "::, ::2, and 18 more"


def test_packets() -> None:
    v4, v6 = addresses.address("10.0.0.1"), addresses.address("fd00::1")
    assert wording.packet_text(Example(v4, v4, 6, 50000, 443)) == "10.0.0.1 -> 10.0.0.1 : tcp/443 from port 50000"
    assert wording.packet_text(Example(v6, v6, 58, 128, 0), {v6: "app=x"}) == "app=x -> app=x : icmp6/128 (counterpart 0)"


def test_both_families_of_the_same_groups_are_one_row() -> None:
    known = names()
    both = prefix("10.20.0.0/24") | prefix("fd00:20::/64")
    boxes = services.parse("tcp/443")
    rows = [Row(part, part, boxes, n) for n, part in ((1, both.v4()), (2, both.v6()))]
    rows += [Row(both.v4(), prefix("10.9.0.1"), boxes, 4), Row(both.v6(), prefix("fd00::1"), boxes, 8)]
    found = known.families_joined(Difference(Rows(tuple(rows), 15, None), *[Rows((), 0, None)] * 5))
    assert [(known.text(row.src), known.text(row.dst), row.packets) for row in found.allowed.rows] == [
        ("hypervisors", "hypervisors", 3),
        ("hypervisors (IPv4)", "10.9.0.1", 4),
        ("hypervisors (IPv6)", "fd00::1", 8),
    ]
    assert found.allowed.packets == 15
