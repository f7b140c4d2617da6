import pytest

from workbench.records.links import link_name


@pytest.mark.parametrize(
    ("number", "name"), [(1, "ETHERNET"), (101, "RAW"), (113, "LINUX_SLL"), (276, "LINUX_SLL2"), (4242, "LINKTYPE_4242")]
)
def test_names_are_those_of_the_registry(number: int, name: str) -> None:
    assert link_name(number) == name
