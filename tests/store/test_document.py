from pathlib import Path

from workbench.records.columns import TABLES
from workbench.store.document import schema_page

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == schema_page(), "run: python -m workbench.store.document > docs/schema.md"


def test_every_table_is_in_it() -> None:
    assert all(f"## Table `{table.name}`" in schema_page() for table in TABLES)
