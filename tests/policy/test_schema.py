"""The schema that editors are given is the one that policies are read by."""

from pathlib import Path

from workbench.policy import schema

FILE = Path(__file__).parents[2] / "docs" / "policy.schema.json"


def test_the_published_schema_is_that_of_the_models() -> None:
    assert FILE.read_text(encoding="utf-8") == schema.text()
